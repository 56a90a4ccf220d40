-- Up Migration
-- A sync may come after another of its tenant: who waits for whom, so that the transaction that ends a run finds them.
alter table penstock.sync
  add column after_sync_id text collate "C",
  -- which ends of its runs count
  add column after_when text check (after_when in ('succeeded', 'finished')),
  add constraint sync_comes_after_one_of_its_tenant
    foreign key (tenant_id, after_sync_id) references penstock.sync (tenant_id, id),
  add constraint sync_says_after_which_end check ((after_sync_id is null) = (after_when is null)),
  add constraint sync_comes_not_after_itself check (after_sync_id <> id),
  add constraint sync_that_is_deleted_comes_after_none check (status <> 'deleted' or after_sync_id is null);
create index sync_by_upstream on penstock.sync (after_sync_id) where after_sync_id is not null;

-- The ends of runs after which a sync is due, from the transaction in which they ended until settle has made slots of them.
create table penstock.upstream_end (
  sync_id text collate "C" not null,
  -- of the slot: when the run ended, in whole milliseconds
  nominal_at timestamptz not null,
  tenant_id text collate "C" not null,
  -- the run that ended
  run_id text collate "C" not null,
  primary key (sync_id, nominal_at),
  constraint upstream_end_is_its_tenants foreign key (tenant_id, sync_id) references penstock.sync (tenant_id, id)
);
create index upstream_end_by_time on penstock.upstream_end (nominal_at, sync_id);
create index upstream_end_by_run on penstock.upstream_end (run_id);
alter table penstock.upstream_end enable row level security;
alter table penstock.upstream_end force row level security;
create policy tenant_wall on penstock.upstream_end to penstock_api
  using (tenant_id = nullif(current_setting('penstock.tenant', true), ''));
create policy engine_sees_all on penstock.upstream_end to penstock_engine using (true);
create policy operator_sees_all on penstock.upstream_end to penstock_operator using (true);
grant select, insert, delete on penstock.upstream_end to penstock_api, penstock_engine, penstock_operator;
