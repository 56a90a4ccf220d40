-- Up Migration
-- How fast all attempts together may read from a connection; null: as fast as it gives.
alter table penstock.connection
  add column rows_per_second integer check (rows_per_second >= 1),
  add column bytes_per_second bigint check (bytes_per_second >= 1024);

-- What an attempt holds of that, and when it was last heard of: a share that is not renewed lapses
-- (src/storage/read-share.ts). paced_by is the connection, of attempts that hold a share alone.
alter table penstock.run_attempt
  add column paced_by text collate "C" references penstock.connection,
  add column heard_at timestamptz,
  add column rows_share double precision,
  add column bytes_share double precision,
  add constraint run_attempt_with_a_share_is_heard_of check (paced_by is null or heard_at is not null);
create index run_attempt_by_pace on penstock.run_attempt (paced_by) where paced_by is not null and ended_at is null;
