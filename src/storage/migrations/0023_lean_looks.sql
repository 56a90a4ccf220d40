-- Up Migration
-- What dispatchers look for again and again is found by what it is, however much has gathered around it.

-- What a pause is of ('': all), and when it ends: those that are over are not read again.
alter table penstock.pause
  add column paused_id text collate "C" not null generated always as (coalesce(sync_id, tenant_id, '')) stored,
  add column ends_at timestamptz not null generated always as (coalesce(until_at, 'infinity')) stored;
create index pause_by_end on penstock.pause (paused_id, ends_at);
drop index penstock.pause_by_sync;
drop index penstock.pause_by_tenant;

-- Runs that nobody could start in time.
create index run_queued_by_deadline on penstock.run (start_before) where status = 'queued' and start_before is not null;

-- A herd is due at one instant: its pages go on where the last one ended.
drop index penstock.run_queued_by_due;
create index run_queued_by_due on penstock.run (due_at, id) where status = 'queued';
