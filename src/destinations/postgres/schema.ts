/**
 * `_penstock`, the destination's memory: what has been committed, by whom, and up to where. All tables are logged:
 * what a checkpoint vouches for must survive a crash. Versions are applied in order and never changed.
 */
import type { Client } from 'pg';
import { rowsOf, runAll } from '../../postgres-client/query.ts';
import { PenstockError } from '../../domain/errors.ts';
import {
  beginStatement,
  withDestination,
  type DestinationContext,
  type SqlRows,
} from './destination-session.ts';

const versions: readonly string[] = [
  `
  create schema _penstock;

  create table _penstock.version (number integer constraint version_pk primary key);

  -- which syncs write which tables; a mode that owns its table alone has a row that is not shared
  create table _penstock.target (
    relation oid not null,
    sync text not null,
    shared boolean not null,
    scope jsonb not null default '{}',
    constraint target_pk primary key (relation, sync)
  );

  -- the runs that were here; nothing commits for a run that is final
  create table _penstock.run (
    id text constraint run_pk primary key,
    final boolean not null default false,
    first_seen_at timestamptz not null default now()
  );

  create table _penstock.load (
    id text constraint load_pk primary key,
    sync text not null,
    opened_by text not null constraint load_opened_by_run references _penstock.run,
    ordinal integer not null,
    finished_by text constraint load_finished_by_run references _penstock.run,
    plan json not null,
    plan_hash text not null,
    cursor_hash text not null,
    low text,
    high text,
    relation oid not null,
    straight boolean not null,
    phase text not null constraint load_phase_known
      check (phase in ('planned', 'loading', 'loaded', 'published', 'done', 'abandoned')),
    receipt json,
    opened_at timestamptz not null default now(),
    closed_at timestamptz,
    constraint load_opened_once unique (opened_by, ordinal),
    constraint load_done_has_receipt check ((phase = 'done') = (receipt is not null)),
    constraint load_closed_has_time check ((phase in ('done', 'abandoned')) = (closed_at is not null))
  );
  create unique index load_one_open on _penstock.load (sync) where phase not in ('done', 'abandoned');
  create index load_finished on _penstock.load (finished_by);

  create table _penstock.partition (
    load text not null constraint partition_of_load references _penstock.load,
    no integer not null,
    bounds jsonb not null default '{}',
    constraint partition_pk primary key (load, no)
  );

  -- who may write a partition: one row each, since writers of one row would hold each other's successors off
  create table _penstock.lease (
    load text not null,
    partition integer not null,
    run text,
    epoch bigint not null default 0,
    constraint lease_pk primary key (load, partition),
    constraint lease_of_partition foreign key (load, partition) references _penstock.partition
  );
  create index lease_of_run on _penstock.lease (run) where run is not null;

  create table _penstock.checkpoint (
    load text not null,
    partition integer not null,
    batch integer not null constraint checkpoint_counts_from_1 check (batch > 0),
    key_lo text[],
    key_hi text[],
    rows bigint not null,
    inserted bigint not null,
    updated bigint not null,
    unchanged bigint not null,
    deduplicated bigint not null,
    rejected bigint not null default 0,
    bytes bigint not null,
    final boolean not null,
    relation oid not null,
    run text not null,
    epoch bigint not null,
    committed_at timestamptz not null default now(),
    constraint checkpoint_pk primary key (load, partition, batch),
    constraint checkpoint_adds_up check (rows = inserted + updated + unchanged + deduplicated + rejected)
  );
  create unique index checkpoint_one_final on _penstock.checkpoint (load, partition) where final;

  create table _penstock.cursor (
    sync text constraint cursor_pk primary key,
    cursor_hash text not null,
    value text,
    moved_at timestamptz not null default now()
  );
  `,
  `
  -- of copies without a control database: which sync they are of, so that the next one can make them final
  alter table _penstock.run add column copy_of text;
  create unique index run_one_copy on _penstock.run (copy_of) where not final;
  `,
  `
  -- the deletes of a load that publishes by deleting: which of the rows that are to go each transaction took
  create table _penstock.deletion (
    load text not null constraint deletion_of_load references _penstock.load,
    chunk integer not null constraint deletion_counts_from_1 check (chunk > 0),
    after bigint not null,
    through bigint not null,
    deleted bigint not null,
    committed_at timestamptz not null default now(),
    constraint deletion_pk primary key (load, chunk),
    constraint deletion_of_its_rows check (deleted between 0 and through - after)
  );
  `,
  `
  -- rows that the target refuses, by key; one that is stopped was not committed: it is why its run ended
  create table _penstock.reject (
    id bigint generated always as identity constraint reject_pk primary key,
    sync text not null,
    load text not null,
    partition integer not null,
    batch integer not null,
    -- where the window began in which it was refused first: nothing of the key was written since
    low text,
    stopped boolean not null,
    key_hash text,
    key text[],
    rows integer not null constraint reject_has_rows check (rows > 0),
    "values" text[],
    sqlstate text not null,
    "column" text,
    "constraint" text,
    cause text not null,
    attempts integer not null default 1,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    settled_at timestamptz,
    settled_by text,
    constraint reject_settled_by_load check ((settled_at is null) = (settled_by is null))
  );
  create unique index reject_one_open on _penstock.reject (sync, key_hash) where settled_at is null and not stopped;
  create index reject_of_sync on _penstock.reject (sync, id);
  create index reject_of_load on _penstock.reject (load);
  `,
  `
  -- when the rows of a load that is published later were all committed: a snapshot taken since then sees them
  alter table _penstock.load add column loaded_at timestamptz;
  -- the table that a replacement has kept
  alter table _penstock.target add column previous oid;
  `,
  `
  -- keys below the window that are read once more
  alter table _penstock.load add column again jsonb not null default '[]';
  `,
  `
  -- rows of the result that say that their key is gone, and what they deleted
  alter table _penstock.checkpoint
    add column tombstones bigint not null default 0,
    add column deleted bigint not null default 0,
    drop constraint checkpoint_adds_up,
    add constraint checkpoint_adds_up
      check (rows = inserted + updated + unchanged + deduplicated + rejected + tombstones),
    add constraint checkpoint_deletes_by_tombstones check (deleted between 0 and tombstones);
  `,
  `
  -- null: the value is kept for whatever plan comes next
  alter table _penstock.cursor alter column cursor_hash drop not null;
  create index load_closed on _penstock.load (closed_at) where closed_at is not null;
  `,
  `
  -- the target's columns as the load was opened for them: by name and type, and as one text to compare with
  alter table _penstock.load add column target_columns jsonb not null default '[]';
  alter table _penstock.load add column columns_state text not null default '';
  `,
  `
  -- since when a reject is of no use any more
  create index reject_over_since on _penstock.reject ((case when stopped then last_seen_at else settled_at end));
  `,
  `
  -- loads are told by their plan: what made two the same when one was opened may have been another version's idea of it
  alter table _penstock.load drop column plan_hash;
  `,
];

/** Any number; two processes that start at once must not both create the schema. */
const advisoryKey = 7_305_411_902_155;

/**
 * Refuses a `_penstock` that somebody has made who could not do as much as this login: its tables may have triggers, which
 * would run with this login's rights. DESTINATION_PERMISSION.
 */
export async function requireOwnSchema(sql: SqlRows): Promise<void> {
  const [schema] = await sql<{ isMine: boolean }>(
    `select pg_catalog.pg_get_userbyid(nspowner) = current_user as "isMine"
       from pg_catalog.pg_namespace where nspname = '_penstock'`,
  );
  // To ask for the roles costs several times as much.
  if (!schema || schema.isMine) return;
  const [stranger] = await sql<{ name: string }>(
    `with recursive mine (oid) as (
       select oid from pg_catalog.pg_roles where rolname = current_user
       union select roleid from pg_catalog.pg_auth_members join mine on member = mine.oid)
     select o.rolname::text as name
       from pg_catalog.pg_namespace n join pg_catalog.pg_roles o on o.oid = n.nspowner
      where n.nspname = '_penstock' and not o.rolsuper and o.oid not in (select oid from mine)
        and o.oid <> (select datdba from pg_catalog.pg_database where datname = pg_catalog.current_database())`,
  );
  if (stranger)
    throw new PenstockError(
      'DESTINATION_PERMISSION',
      `The schema _penstock is owned by ${stranger.name}, whom this login has no reason to trust. Drop it, or give it and its tables to this login or to a role that it is a member of.`,
      { pointer: '/destination/connection' },
    );
}

/** Brings `_penstock` to the newest version. DESTINATION_PERMISSION when it is a stranger's. */
export const ensureSchema = (context: DestinationContext): Promise<void> =>
  withDestination(context, 'Preparing the schema _penstock', async (client) => {
    const { answerMs } = context.timeouts;
    await requireOwnSchema((sql, values) => rowsOf(client, answerMs, sql, values));
    if ((await appliedVersions(client, answerMs)) === versions.length) return;
    const idle = { idle_in_transaction_session_timeout: context.timeouts.bookkeepingIdleMs };
    const begin = beginStatement(context, idle);
    await runAll(client, `${begin}; select pg_advisory_xact_lock(${advisoryKey})`, answerMs);
    const applied = await appliedVersions(client, answerMs);
    for (const [i, sql] of versions.entries()) {
      if (i < applied) continue;
      await runAll(client, `${sql}; insert into _penstock.version values (${i + 1})`, answerMs);
    }
    await runAll(client, 'commit', answerMs);
  });

async function appliedVersions(client: Client, answerMs: number): Promise<number> {
  const [there] = await rowsOf<{ is: boolean }>(
    client,
    answerMs,
    // Not by to_regclass, which may answer from a cache that is older than the lock.
    `select exists (
       select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = '_penstock' and c.relname = 'version') as is`,
  );
  if (!there?.is) return 0;
  const [row] = await rowsOf<{ count: number }>(
    client,
    answerMs,
    'select count(*)::int as count from _penstock.version',
  );
  return row!.count;
}
