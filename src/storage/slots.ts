/**
 * The rows of tick: what a sync's judgement needs, read under its lock, and what the judgement leaves, written in one
 * statement. Only settle.ts calls these.
 */
import type { ConnectionId, RunId, SyncId, TenantId } from '../domain/ids.ts';
import type { MovedSlot } from '../domain/due-time.ts';
import type { RunOrder } from '../domain/priority.ts';
import type { OpenRuns, PauseInterval } from '../domain/settle-slots.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import { changeRuns } from './run-status.ts';
import type { Tx } from './transaction.ts';

/** A locked sync and all that decides about its slots. Times in ms since the Unix epoch, by control Postgres' clock. */
export interface SyncFacts {
  readonly syncId: SyncId;
  readonly tenantId: TenantId;
  /** It reads from this one. */
  readonly connectionId: ConnectionId;
  readonly tenantName: string;
  /** In which the tenant's waiting runs start. */
  readonly order: RunOrder;
  readonly syncName: string;
  readonly version: number;
  readonly status: 'active' | 'broken' | 'deleted';
  readonly spec: SyncSpec;
  readonly nextNominalMs: number | null;
  readonly nextDueMs: number | null;
  readonly moved: MovedSlot | null;
  readonly skippedMs: number | null;
  /** Runs that the schedule has made since it was last changed. */
  readonly scheduledRuns: number;
  readonly nowMs: number;
  readonly openRuns: OpenRuns;
  readonly pauses: readonly PauseInterval[];
  /** The newest row without a run, which equal slots that follow continue; null when the newest row has a run. */
  readonly lastRunless: { fromMs: number; outcome: string; version: number } | null;
  /** Ends of runs that it comes after, and that no slot stands for yet, in their order. */
  readonly endsMs: readonly number[];
}

/** Locks sync rows in the order of their ids. With `wait: false` rows that somebody else holds are left out. */
export async function lockSyncs(
  tx: Tx,
  syncIds: readonly SyncId[],
  { wait }: { wait: boolean },
): Promise<SyncId[]> {
  const { rows } = await tx.query<{ id: SyncId }>(
    `select id from penstock.sync where id = any($1) order by id for no key update ${wait ? '' : 'skip locked'}`,
    [syncIds],
  );
  return rows.map((row) => row.id);
}

/**
 * Reads the facts of syncs that this transaction has locked: in a statement after the lock, because a statement sees
 * what was committed when it began. All syncs settled in one transaction are judged at one instant, the first one's:
 * an edit settles twice, under the old and the new spec, and no due time may fall between.
 */
export async function fetchSyncFacts(tx: Tx, syncIds: readonly SyncId[]): Promise<SyncFacts[]> {
  const { rows } = await tx.query<SyncFacts>(
    `with instant as materialized (
       select set_config('penstock.settled_at_ms', coalesce(nullif(current_setting('penstock.settled_at_ms', true), ''),
         floor(extract(epoch from clock_timestamp()) * 1000)::text), true)::float8 as now_ms
     )
     select s.id as "syncId", s.tenant_id as "tenantId", s.source_connection_id as "connectionId",
       t.name as "tenantName", t.run_order as "order", s.name as "syncName", s.version,
       s.status, v.spec, (extract(epoch from s.next_nominal_at) * 1000)::float8 as "nextNominalMs",
       (extract(epoch from s.next_due_at) * 1000)::float8 as "nextDueMs",
       case when s.moved_nominal_at is not null then json_build_object(
         'nominalMs', (extract(epoch from s.moved_nominal_at) * 1000)::float8,
         'dueMs', (extract(epoch from s.moved_due_at) * 1000)::float8) end as moved,
       (extract(epoch from s.skipped_nominal_at) * 1000)::float8 as "skippedMs",
       s.scheduled_runs::float8 as "scheduledRuns",
       i.now_ms as "nowMs",
       (select json_build_object('queued', count(*) filter (where r.status = 'queued' and r.due_at <= clock_timestamp()),
            'atWork', count(*) filter (where r.status <> 'queued'))
        from penstock.run r where r.sync_id = s.id and r.ended_at is null and r.origin <> 'backfill') as "openRuns",
       (select coalesce(json_agg(json_build_object('fromMs', (extract(epoch from p.from_at) * 1000)::float8,
            'untilMs', (extract(epoch from p.until_at) * 1000)::float8)), '[]')
        from penstock.pause p
        where p.paused_id in (s.id, s.tenant_id, '') and p.ends_at > ends.first_at) as pauses,
       (select json_build_object('fromMs', (extract(epoch from l.nominal_at) * 1000)::float8,
            'outcome', l.outcome, 'version', l.sync_version)
        from (select * from penstock.slot where sync_id = s.id order by nominal_at desc limit 1) l
        where l.run_id is null) as "lastRunless",
       ends."endsMs"
     from instant i, penstock.sync s
     join penstock.tenant t on t.id = s.tenant_id
     join penstock.sync_version v on v.sync_id = s.id and v.version = s.version
     cross join lateral (
       select coalesce(s.next_nominal_at, min(e.nominal_at)) as first_at,
         coalesce(json_agg(ms order by ms) filter (where ms <= i.now_ms), '[]') as "endsMs"
       from penstock.upstream_end e, lateral (select (extract(epoch from e.nominal_at) * 1000)::float8 as ms) at
       where e.sync_id = s.id
     ) ends
     where s.id = any($1)`,
    [syncIds],
  );
  return rows;
}

/** The new next times of a sync; with a reason it becomes broken. */
interface SyncAdvance {
  readonly syncId: SyncId;
  readonly nextNominalMs: number | null;
  readonly nextDueMs: number | null;
  readonly scheduledRuns: number;
  readonly brokenReason: string | null;
}

/** One row of slots: those from `fromMs` to `toMs` share an outcome, or one slot points at its run. */
export interface SlotRow {
  readonly syncId: SyncId;
  readonly tenantId: TenantId;
  readonly version: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly runId: RunId | null;
  readonly outcome: string | null;
}

/** A run of a slot, to be queued. */
interface NewRun {
  readonly runId: RunId;
  readonly origin: 'schedule' | 'after';
  readonly tenantId: TenantId;
  readonly syncId: SyncId;
  readonly version: number;
  /** It reads from this one. */
  readonly connectionId: ConnectionId;
  readonly workflowId: string;
  readonly nominalMs: number;
  readonly dueMs: number;
  readonly queuedMs: number;
  readonly startBeforeMs: number;
  readonly priority: number;
  /** Why it waits from the beginning; null: it is offered. */
  readonly waitingReason: 'previous_run' | null;
}

export interface Judgement {
  readonly advances: SyncAdvance[];
  readonly slots: SlotRow[];
  readonly runs: NewRun[];
  /** Syncs whose runs at work make way for a new one. */
  readonly overlapped: SyncId[];
}

/**
 * Writes a judgement in one statement. A row that starts where the newest one starts continues it. Runs and slots
 * that are there already are left alone, so writing the same judgement twice is harmless.
 */
export async function saveJudgement(tx: Tx, { advances, slots, runs }: Judgement): Promise<void> {
  await tx.query(
    `with advanced as (
       update penstock.sync s
       set next_nominal_at = ${fromMs('a."nextNominalMs"')}, next_due_at = ${fromMs('a."nextDueMs"')},
           scheduled_runs = a."scheduledRuns",
           status = case when a."brokenReason" is null then s.status else 'broken' end,
           broken_reason = coalesce(a."brokenReason", s.broken_reason)
       from jsonb_to_recordset($1) a
         ("syncId" text, "nextNominalMs" float8, "nextDueMs" float8, "scheduledRuns" bigint,
          "brokenReason" text)
       where s.id = a."syncId"
       returning s.id, s.tenant_id, a."brokenReason" as broken_reason
     ), made as (
       insert into penstock.run (id, tenant_id, sync_id, sync_version, source_connection_id, origin, nominal_at, priority,
         due_at, queued_at, start_before, workflow_id, waiting_reason)
       select "runId", "tenantId", "syncId", version, "connectionId", origin, ${fromMs('"nominalMs"')}, priority,
         ${fromMs('"dueMs"')}, ${fromMs('"queuedMs"')}, ${fromMs('"startBeforeMs"')}, "workflowId",
         "waitingReason"
       from jsonb_to_recordset($2) r
         ("runId" text, "tenantId" text, "syncId" text, version integer, "connectionId" text, origin text,
          "nominalMs" float8, priority smallint, "dueMs" float8, "queuedMs" float8, "startBeforeMs" float8,
          "workflowId" text, "waitingReason" text)
       on conflict (id) do nothing
       returning id, tenant_id, sync_id
     ), recorded as (
       insert into penstock.slot (sync_id, nominal_at, nominal_to, tenant_id, sync_version, run_id, outcome)
       select "syncId", ${fromMs('"fromMs"')}, ${fromMs('"toMs"')}, "tenantId", version, "runId", outcome
       from jsonb_to_recordset($3) s
         ("syncId" text, "fromMs" float8, "toMs" float8, "tenantId" text, version integer, "runId" text, outcome text)
       on conflict (sync_id, nominal_at) do update set nominal_to = excluded.nominal_to
         where slot.run_id is null and slot.nominal_to < excluded.nominal_to
     )
     insert into penstock.event (tenant_id, kind, sync_id, run_id, data)
     select tenant_id, 'run.queued', sync_id, id, '{}' from made
     union all
     select tenant_id, 'sync.broken', id, null, jsonb_build_object('reason', broken_reason)
     from advanced where broken_reason is not null`,
    [JSON.stringify(advances), JSON.stringify(runs), JSON.stringify(slots)],
  );
}

/** Asks the runs of these syncs that are at work to cancel. Returns their workflows, by sync. */
export async function cancelOverlapped(tx: Tx, syncIds: readonly SyncId[]): Promise<Map<SyncId, string[]>> {
  const cancelled = new Map<SyncId, string[]>();
  if (syncIds.length === 0) return cancelled;
  const { rows } = await tx.query<{ id: RunId; syncId: SyncId; workflowId: string }>(
    `select id, sync_id as "syncId", workflow_id as "workflowId" from penstock.run
     where sync_id = any($1) and status in ('starting', 'running', 'pausing', 'paused') and origin <> 'backfill'
     order by id for no key update`,
    [syncIds],
  );
  const runIds = rows.map((row) => row.id);
  const changed = new Set(await changeRuns(tx, runIds, 'cancel', { endReason: 'overlap' }));
  for (const { id, syncId, workflowId } of rows)
    if (changed.has(id)) cancelled.set(syncId, [...(cancelled.get(syncId) ?? []), workflowId]);
  return cancelled;
}

/** Whole milliseconds as a timestamp, exactly (`to_timestamp` goes through seconds as a fraction). */
const fromMs = (expression: string): string =>
  `timestamptz 'epoch' + ${expression} * interval '1 millisecond'`;
