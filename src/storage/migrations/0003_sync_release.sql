-- Up Migration
-- When a deleted sync's hold on its tables is to be given up in the destinations; null: there is nothing to give up.
alter table penstock.sync
  add column release_at timestamptz,
  add constraint sync_that_is_released_is_deleted check (release_at is null or status = 'deleted');
update penstock.sync set release_at = clock_timestamp() where status = 'deleted';
create index sync_to_release on penstock.sync (release_at) where release_at is not null;
