-- Up Migration
-- Maintenance asks which connections are destinations, and for the runs into one. Compared bytewise, as ids are.
create index sync_version_by_destination on penstock.sync_version
  ((spec->'destination'->>'connection') collate "C");
