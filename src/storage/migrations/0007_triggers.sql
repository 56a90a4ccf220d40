-- Up Migration
-- A trigger that took a run which was open already: its key gives that run for ever, as it gives its own to one that made it.
create table penstock.joined_trigger (
  sync_id text collate "C" not null,
  request_key text not null,
  tenant_id text collate "C" not null,
  -- without a foreign key: a run that is forgotten forgets its keys
  run_id text collate "C" not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (sync_id, request_key),
  constraint joined_trigger_is_its_tenants foreign key (tenant_id, sync_id) references penstock.sync (tenant_id, id)
);
alter table penstock.joined_trigger enable row level security;
alter table penstock.joined_trigger force row level security;
create policy tenant_wall on penstock.joined_trigger to penstock_api
  using (tenant_id = nullif(current_setting('penstock.tenant', true), ''));
create policy engine_sees_all on penstock.joined_trigger to penstock_engine using (true);
create policy operator_sees_all on penstock.joined_trigger to penstock_operator using (true);
grant select, insert, update on penstock.joined_trigger to penstock_api, penstock_engine, penstock_operator;

-- A run that waits until its key has been quiet; another trigger with the key puts it off.
alter table penstock.run
  add column debounce_key text,
  add constraint run_that_is_debounced_was_triggered check (debounce_key is null or origin = 'manual');

create index run_not_due on penstock.run (due_at) where status = 'queued' and waiting_reason = 'not_due';
