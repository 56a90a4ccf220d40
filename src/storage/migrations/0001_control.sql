-- Up Migration
-- The control database: the truth about tenants, connections, syncs, slots and runs.
-- Ids are text with a type prefix (src/domain/ids.ts), compared bytewise. Times are timestamptz, by this server's clock.

create schema if not exists penstock;

-- Three login-less roles do all the work; none owns a table, so row-level security binds them all.
-- penstock_api sees the tenant named by the setting penstock.tenant, and nothing without it.
-- penstock_engine (dispatcher, worker) has a policy of its own that sees every tenant; it is not BYPASSRLS.
-- penstock_operator sees every tenant, to answer an operator's key.
do $$
declare
  wanted text;
begin
  foreach wanted in array array['penstock_api', 'penstock_engine', 'penstock_operator'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      begin
        execute format('create role %I nologin', wanted);
      exception when duplicate_object or unique_violation then
        null; -- another database of this cluster was migrated at the same moment
      end;
    end if;
    if not (select rolsuper from pg_roles where rolname = current_user) then
      execute format('grant %I to %I', wanted, current_user);
    end if;
  end loop;
end $$;

grant usage on schema penstock to penstock_api, penstock_engine, penstock_operator;

create table penstock.tenant (
  id text collate "C" primary key check (id like 'ten\_%'),
  name text not null unique check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  weight integer not null default 1 check (weight between 1 and 1000),
  created_at timestamptz not null default clock_timestamp()
);

create table penstock.api_key (
  id text collate "C" primary key check (id like 'key\_%'),
  -- null: an operator's key
  tenant_id text collate "C" references penstock.tenant,
  name text not null,
  role text not null check (role in ('viewer', 'operator', 'editor', 'admin')),
  -- what the user sees of it in a list
  prefix text not null,
  -- SHA-256 of the key; keys are 256 random bits, so a slow hash would protect nothing more
  hash bytea not null unique,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz
);

create table penstock.connection (
  id text collate "C" primary key check (id like 'con\_%'),
  -- null: an operator's connection, granted to tenants
  tenant_id text collate "C" references penstock.tenant,
  name text not null check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  kind text not null,
  version integer not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  deleted_at timestamptz,
  constraint connection_belongs_to_one_owner unique (id, tenant_id)
);
create unique index connection_name_is_unique on penstock.connection (coalesce(tenant_id, ''), name)
  where deleted_at is null;

create table penstock.connection_version (
  connection_id text collate "C" not null references penstock.connection,
  version integer not null check (version > 0),
  tenant_id text collate "C" references penstock.tenant,
  -- host, port, database, user, tls: nothing secret
  settings jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (connection_id, version),
  constraint connection_version_is_its_owners
    foreign key (connection_id, tenant_id) references penstock.connection (id, tenant_id)
);

-- One secret per connection, not per version: a run keeps its version of the settings but reads the newest secret.
create table penstock.connection_secret (
  connection_id text collate "C" primary key references penstock.connection,
  tenant_id text collate "C" references penstock.tenant,
  -- AES-256-GCM; the associated data binds it to tenant, connection and field
  sealed bytea not null,
  updated_at timestamptz not null default clock_timestamp(),
  constraint connection_secret_is_its_owners
    foreign key (connection_id, tenant_id) references penstock.connection (id, tenant_id)
);

create table penstock.connection_grant (
  connection_id text collate "C" not null references penstock.connection,
  tenant_id text collate "C" not null references penstock.tenant,
  -- like-pattern over schema.table
  table_pattern text not null,
  -- taken by `set local role` in every transaction there
  database_role text,
  primary key (connection_id, tenant_id)
);

create table penstock.sync (
  id text collate "C" primary key check (id like 'syn\_%'),
  tenant_id text collate "C" not null references penstock.tenant,
  name text not null check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  version integer not null default 1 check (version > 0),
  status text not null default 'active' check (status in ('active', 'broken', 'deleted')),
  -- why it is broken, for people
  broken_reason text,
  source_connection_id text collate "C" not null references penstock.connection,
  destination_connection_id text collate "C" not null references penstock.connection,
  -- written by settle alone. The nominal time is the slot's identity; the due time is when it may start.
  next_nominal_at timestamptz,
  next_due_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  constraint sync_belongs_to_one_tenant unique (tenant_id, id),
  constraint sync_next_times_come_together check ((next_nominal_at is null) = (next_due_at is null)),
  constraint sync_is_never_due_before_its_nominal_time check (next_due_at >= next_nominal_at),
  constraint sync_that_is_not_active_has_no_next check (status = 'active' or next_nominal_at is null)
);
create unique index sync_name_is_unique on penstock.sync (tenant_id, name) where status <> 'deleted';
create index sync_by_next_due on penstock.sync (next_due_at) where next_due_at is not null;

create table penstock.sync_version (
  sync_id text collate "C" not null,
  version integer not null check (version > 0),
  tenant_id text collate "C" not null,
  -- the complete spec (src/domain/sync-spec.ts), connections by id
  spec jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (sync_id, version),
  constraint sync_version_is_its_tenants
    foreign key (tenant_id, sync_id) references penstock.sync (tenant_id, id)
);

-- Pauses are intervals: a slot is judged by the interval that covers it.
-- For a sync, for a tenant (sync null), or for all (both null).
create table penstock.pause (
  id text collate "C" primary key check (id like 'pau\_%'),
  tenant_id text collate "C" references penstock.tenant,
  sync_id text collate "C",
  reason text,
  from_at timestamptz not null default clock_timestamp(),
  -- null: until resumed
  until_at timestamptz,
  constraint pause_is_its_tenants foreign key (tenant_id, sync_id) references penstock.sync (tenant_id, id),
  constraint pause_of_a_sync_names_its_tenant check (sync_id is null or tenant_id is not null),
  constraint pause_ends_after_it_begins check (until_at >= from_at)
);
create index pause_by_sync on penstock.pause (sync_id, from_at);
create index pause_by_tenant on penstock.pause (tenant_id, from_at);

create table penstock.run (
  -- UUIDv5 of (sync, origin, nominal time or request key): writing a run twice is harmless
  id text collate "C" primary key check (id like 'run\_%'),
  tenant_id text collate "C" not null,
  sync_id text collate "C" not null,
  sync_version integer not null,
  origin text not null check (origin in ('schedule', 'manual', 'backfill', 'after', 'retry')),
  nominal_at timestamptz,
  request_key text,
  status text not null default 'queued' check (status in ('queued', 'starting', 'running', 'pausing', 'paused',
    'cancelling', 'succeeded', 'failed', 'cancelled')),
  waiting_reason text check (waiting_reason in ('not_due', 'sync_paused', 'tenant_paused', 'all_paused',
    'previous_run', 'global_cap', 'tenant_cap', 'connection_cap', 'rate_limited', 'cooling_down', 'back_off', 'behind',
    'no_worker', 'engine_unreachable', 'draining')),
  -- why it is cancelling or was dropped: a word for programs, such as missed, requested, max_duration
  end_reason text,
  priority smallint not null check (priority between 1 and 5),
  due_at timestamptz not null,
  queued_at timestamptz not null default clock_timestamp(),
  -- a queued run past this ends cancelled, reason missed; null: it waits as long as it takes
  start_before timestamptz,
  -- when a workflow first began to work on it
  started_at timestamptz,
  ended_at timestamptz,
  -- <tenant>:<sync>:<run id>, fixed at birth: names may change later
  workflow_id text not null unique,
  overlap_allowed boolean not null default false,
  -- connection versions, frozen by the first prepare
  source_version integer,
  destination_version integer,
  error_code text,
  error_message text,
  receipt jsonb,
  -- the loads that the receipt sums up
  load_ids text[] collate "C" not null default '{}',
  -- when the row last changed or its workflow last reported; what has not moved for a minute is looked at
  moved_at timestamptz not null default clock_timestamp(),
  constraint run_is_its_tenants foreign key (tenant_id, sync_id) references penstock.sync (tenant_id, id),
  constraint run_has_a_version_of_its_sync
    foreign key (sync_id, sync_version) references penstock.sync_version (sync_id, version),
  constraint run_of_a_schedule_has_a_nominal_time check (origin <> 'schedule' or nominal_at is not null),
  constraint run_that_is_final_has_ended
    check ((status in ('succeeded', 'failed', 'cancelled')) = (ended_at is not null)),
  constraint run_is_never_early check (started_at >= due_at),
  constraint run_that_succeeded_has_a_receipt check (status <> 'succeeded' or receipt is not null),
  -- a count that is not there makes the sum null, which is not true
  constraint run_receipt_adds_up check (receipt is null or coalesce((receipt->>'read')::bigint =
    (receipt->>'inserted')::bigint + (receipt->>'updated')::bigint + (receipt->>'unchanged')::bigint
    + (receipt->>'deduplicated')::bigint + (receipt->>'rejected')::bigint, false))
);
create unique index run_of_a_slot_is_unique on penstock.run (sync_id, origin, nominal_at) where nominal_at is not null;
create unique index run_past_queued_is_alone on penstock.run (sync_id)
  where status in ('starting', 'running', 'pausing', 'paused', 'cancelling') and not overlap_allowed;
create index run_open_by_sync on penstock.run (sync_id) where ended_at is null;
create index run_queued_by_due on penstock.run (due_at) where status = 'queued';
create index run_waiting_for_previous on penstock.run (sync_id)
  where status = 'queued' and waiting_reason = 'previous_run';
create index run_active_by_movement on penstock.run (moved_at)
  where status in ('starting', 'running', 'pausing', 'paused', 'cancelling');
create index run_by_sync on penstock.run (sync_id, queued_at desc, id desc);
create index run_by_tenant on penstock.run (tenant_id, queued_at desc, id desc);

-- A due time of a sync. One that made a run points at it; those without a run that follow each other with the same
-- outcome are one row (from, to), so that an outage is a row per sync and not a row per missed second.
create table penstock.slot (
  sync_id text collate "C" not null,
  nominal_at timestamptz not null,
  -- the last nominal time this row stands for
  nominal_to timestamptz not null,
  tenant_id text collate "C" not null,
  sync_version integer not null,
  run_id text collate "C" unique references penstock.run,
  outcome text check (outcome in ('coalesced', 'skipped_overlap', 'skipped_paused', 'skipped_unchanged', 'missed')),
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (sync_id, nominal_at),
  constraint slot_is_its_tenants foreign key (tenant_id, sync_id) references penstock.sync (tenant_id, id),
  constraint slot_has_a_run_or_an_outcome check ((run_id is null) <> (outcome is null)),
  constraint slot_with_a_run_stands_alone check (run_id is null or nominal_to = nominal_at),
  constraint slot_range_runs_forward check (nominal_to >= nominal_at)
);

-- An attempt at one partition of a run: one execution of the copy activity.
create table penstock.run_attempt (
  run_id text collate "C" not null references penstock.run,
  partition integer not null check (partition >= 0),
  -- the lease epoch it asked for: it rises over attempts
  epoch bigint not null,
  tenant_id text collate "C" not null references penstock.tenant,
  worker text not null,
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  -- committed by this attempt; kept current at most once a second while it copies
  rows bigint not null default 0,
  bytes bigint not null default 0,
  batches integer not null default 0,
  outcome text check (outcome in ('finished', 'yielded', 'fenced', 'failed', 'cancelled')),
  error_code text,
  error_class text check (error_class in ('transient', 'persistent')),
  error_message text,
  primary key (run_id, partition, epoch)
);

-- What happened, in order, for people and for programs. No row values, no secrets.
create table penstock.event (
  id bigint generated always as identity primary key,
  tenant_id text collate "C" references penstock.tenant,
  at timestamptz not null default clock_timestamp(),
  kind text not null,
  sync_id text collate "C",
  run_id text collate "C",
  data jsonb not null default '{}'
);
create index event_by_tenant on penstock.event (tenant_id, id);
create index event_by_run on penstock.event (run_id, id) where run_id is not null;

-- Who changed what.
create table penstock.audit (
  id bigint generated always as identity primary key,
  tenant_id text collate "C" references penstock.tenant,
  at timestamptz not null default clock_timestamp(),
  api_key_id text collate "C",
  action text not null,
  object_id text not null,
  data jsonb not null default '{}'
);
create index audit_by_tenant on penstock.audit (tenant_id, id);

create table penstock.idempotency_key (
  -- the API key's id: two keys never share an answer
  api_key_id text collate "C" not null,
  key text not null,
  tenant_id text collate "C" references penstock.tenant,
  request_hash bytea not null,
  -- null while the first request is still at work
  status integer,
  body jsonb,
  headers jsonb,
  created_at timestamptz not null default clock_timestamp(),
  primary key (api_key_id, key)
);

-- Row-level security, forced, on every table with a tenant_id and on tenant itself.
do $$
declare
  wall record;
begin
  for wall in
    select c.table_name as name, 'tenant_id' as tenant_column from information_schema.columns c
    where c.table_schema = 'penstock' and c.column_name = 'tenant_id'
    union all values ('tenant', 'id')
  loop
    execute format('alter table penstock.%I enable row level security', wall.name);
    execute format('alter table penstock.%I force row level security', wall.name);
    execute format('create policy tenant_wall on penstock.%I to penstock_api
      using (%I = nullif(current_setting(''penstock.tenant'', true), ''''))', wall.name, wall.tenant_column);
    execute format('create policy engine_sees_all on penstock.%I to penstock_engine using (true)', wall.name);
    execute format('create policy operator_sees_all on penstock.%I to penstock_operator using (true)', wall.name);
  end loop;
end $$;

-- A tenant sees the operator's connections that were granted to it (settings, never the secret).
create policy granted on penstock.connection for select to penstock_api using (
  tenant_id is null
  and exists (select from penstock.connection_grant g where g.connection_id = connection.id));
create policy granted on penstock.connection_version for select to penstock_api using (
  tenant_id is null
  and exists (select from penstock.connection_grant g where g.connection_id = connection_version.connection_id));
-- A pause of everything holds for each tenant.
create policy pause_of_all on penstock.pause for select to penstock_api using (tenant_id is null);
-- A key is found by its hash before anybody knows whose it is; whoever has the hash has the key.
create policy key_by_hash on penstock.api_key for select to penstock_api using (
  hash = decode(nullif(current_setting('penstock.key_hash', true), ''), 'hex'));

-- Rights, by table: what a role cannot do, no defect of the code above it can.
grant select, insert, update on all tables in schema penstock to penstock_api, penstock_engine, penstock_operator;
grant usage on all sequences in schema penstock to penstock_api, penstock_engine, penstock_operator;
grant delete on penstock.idempotency_key, penstock.connection_grant to penstock_api, penstock_engine, penstock_operator;
-- Written by `penstock migrate` alone.
revoke all on penstock.migration from penstock_api, penstock_engine, penstock_operator;
revoke all on sequence penstock.migration_id_seq from penstock_api, penstock_engine, penstock_operator;
-- Only the operator makes tenants and grants connections; only the engine reports attempts.
revoke insert, update on penstock.tenant from penstock_api;
revoke insert, update, delete on penstock.connection_grant from penstock_api;
revoke insert, update on penstock.run_attempt from penstock_api, penstock_operator;
-- Who answers requests may replace a secret and cannot read one, sealed as it is.
revoke select on penstock.connection_secret from penstock_api, penstock_operator;
grant select (connection_id, tenant_id) on penstock.connection_secret to penstock_api, penstock_operator;
-- Events and audit are written once.
revoke update on penstock.audit, penstock.event from penstock_api, penstock_engine, penstock_operator;
