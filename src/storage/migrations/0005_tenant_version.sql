-- Up Migration
-- A tenant can be changed: its version is its ETag, and keeps an older change from overtaking a newer one on its way to
-- the schedule index.
alter table penstock.tenant add column version integer not null default 1 check (version > 0);
