-- Up Migration
-- A stretch of a sync's cursor that is read again, part by part, each by a run of its own; the next part's run is queued by
-- the transaction in which the one before it succeeds.
create table penstock.backfill (
  id text collate "C" primary key check (id like 'bkf\_%'),
  tenant_id text collate "C" not null,
  sync_id text collate "C" not null,
  request_key text not null,
  -- as they were asked for: rows whose cursor is above the one, up to and with the other
  window_from text not null,
  window_to text not null,
  -- how much a part reads; null: all
  every text,
  parts integer not null check (parts > 0),
  -- the part whose run is queued or at work, or was the last
  part integer not null default 0,
  status text not null default 'running' check (status in ('running', 'succeeded', 'failed', 'cancelled')),
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  constraint backfill_is_its_tenants foreign key (tenant_id, sync_id) references penstock.sync (tenant_id, id),
  constraint backfill_of_a_request_is_one unique (sync_id, request_key),
  constraint backfill_part_is_one_of_them check (part between 0 and parts),
  constraint backfill_that_is_over_has_ended check ((status = 'running') = (ended_at is null))
);
create unique index backfill_is_alone on penstock.backfill (sync_id) where status = 'running';
create index backfill_by_tenant on penstock.backfill (tenant_id, id);
alter table penstock.backfill enable row level security;
alter table penstock.backfill force row level security;
create policy tenant_wall on penstock.backfill to penstock_api
  using (tenant_id = nullif(current_setting('penstock.tenant', true), ''));
create policy engine_sees_all on penstock.backfill to penstock_engine using (true);
create policy operator_sees_all on penstock.backfill to penstock_operator using (true);
grant select, insert, update on penstock.backfill to penstock_api, penstock_engine, penstock_operator;
grant delete on penstock.backfill to penstock_engine;

alter table penstock.run
  -- without a foreign key: a backfill and its runs are forgotten each by its own age
  add column backfill_id text collate "C",
  add column backfill_part integer,
  -- the window that it reads, and no more
  add column window_low text,
  add column window_high text,
  add constraint run_of_a_backfill_is_a_part_of_it check ((origin = 'backfill') = (backfill_id is not null)
    and (backfill_id is null) = (backfill_part is null)
    and (backfill_id is null) = (window_low is null) and (backfill_id is null) = (window_high is null));
create unique index run_of_a_part_is_unique on penstock.run (backfill_id, backfill_part) where backfill_id is not null;
