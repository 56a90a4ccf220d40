/**
 * Triggering a sync: one transaction that finds the run of the request's key, takes one that is open, or makes one. The
 * sync's row is held meanwhile, so that of triggers at the same moment one makes the run.
 */
import { randomUUID } from 'node:crypto';
import { PenstockError } from '../domain/errors.ts';
import { runIdOf, workflowIdOf, type RunId } from '../domain/ids.ts';
import { decideTrigger, type OpenRun, type TriggerPlan } from '../domain/trigger.ts';
import type { Run, TriggerRequest } from '../ports/run-control.ts';
import type { Scope } from '../ports/scope.ts';
import type { Sync } from '../ports/sync-store.ts';
import { insertAudit } from './in-scope.ts';
import type { IndexNews } from './index-news.ts';
import { fetchOffer } from './run-offers.ts';
import { fetchRun } from './run-rows.ts';
import { lockSync } from './sync-rows.ts';
import type { Tx } from './transaction.ts';

/** Without a plan: now, and on its own. */
const nowAlone: TriggerPlan = { at: null, inMs: 0, debounce: null, onRunning: null };

/** A debounced run is put off for so many times its wait at most, counted from its first trigger. */
const mostPutOff = 10;

interface Triggered {
  run: Run;
  created: boolean;
  news: IndexNews;
}

/** The run that answers the request; the same key gives the same run. NOT_FOUND; CONFLICT with the run that is open. */
export async function triggerRun(
  tx: Tx,
  scope: Scope,
  { ref, request }: { ref: string; request: TriggerRequest },
): Promise<Triggered> {
  const sync = await lockSync(tx, scope, ref);
  const known = await findByKey(tx, sync, request.requestKey);
  if (known) return { run: await fetchRun(tx, known), created: false, news: {} };
  const taken = (await putOff(tx, sync, request)) ?? (await takeOpenRun(tx, sync, request));
  if (taken) {
    if (request.requestKey !== undefined) await noteJoined(tx, sync, request.requestKey, taken);
    return { run: await fetchRun(tx, taken), created: false, news: {} };
  }
  return insertRun(tx, scope, sync, request);
}

async function findByKey(tx: Tx, { id }: Sync, requestKey: string | undefined): Promise<RunId | undefined> {
  if (requestKey === undefined) return undefined;
  const { rows } = await tx.query<{ id: RunId }>(
    `select id from penstock.run where id = $1
     union all select r.id from penstock.joined_trigger j join penstock.run r on r.id = j.run_id
     where j.sync_id = $2 and j.request_key = $3`,
    [runIdOf(id, 'manual', requestKey), id, requestKey],
  );
  return rows[0]?.id;
}

/** Puts off the run that waits for this key to be quiet. */
async function putOff(tx: Tx, { id }: Sync, { plan = nowAlone }: TriggerRequest): Promise<RunId | undefined> {
  if (plan.debounce === null) return undefined;
  const { rows } = await tx.query<{ id: RunId }>(
    `update penstock.run set due_at = greatest(due_at, least(clock_timestamp() + $3 * interval '1 millisecond',
       queued_at + $3 * $4 * interval '1 millisecond'))
     where sync_id = $1 and debounce_key = $2 and status = 'queued' and due_at > clock_timestamp()
     returning id`,
    [id, plan.debounce, plan.inMs, mostPutOff],
  );
  return rows[0]?.id;
}

async function takeOpenRun(tx: Tx, sync: Sync, request: TriggerRequest): Promise<RunId | undefined> {
  const { onRunning } = request.plan ?? nowAlone;
  if (onRunning === null) return undefined;
  const { rows } = await tx.query<OpenRun & { runId: RunId }>(
    `select id as "runId", status, due_at <= clock_timestamp() as "isDue", sync_version as version, priority
     from penstock.run where sync_id = $1 and ended_at is null and origin <> 'backfill' order by due_at, id`,
    [sync.id],
  );
  const wanted = { version: sync.version, priority: request.priority ?? sync.spec.priority };
  const fate = decideTrigger(onRunning, wanted, rows);
  if (fate.kind === 'refuse')
    throw new PenstockError('CONFLICT', `run ${fate.runId} of sync ${sync.spec.name} is not final yet`, {
      pointer: '/onRunning',
      meta: { runId: fate.runId },
    });
  return fate.kind === 'take' ? (fate.runId as RunId) : undefined;
}

const noteJoined = (tx: Tx, { id, tenantId }: Sync, requestKey: string, runId: RunId): Promise<unknown> =>
  tx.query(
    `insert into penstock.joined_trigger (sync_id, request_key, tenant_id, run_id) values ($1, $2, $3, $4)
     on conflict (sync_id, request_key) do update set run_id = excluded.run_id`,
    [id, requestKey, tenantId, runId],
  );

async function insertRun(tx: Tx, scope: Scope, sync: Sync, request: TriggerRequest): Promise<Triggered> {
  const { id: syncId, tenantId, version, spec } = sync;
  const { plan = nowAlone, requestKey = randomUUID() } = request;
  const runId = runIdOf(syncId, 'manual', requestKey);
  const tenant = await tx.query<{ name: string }>('select name from penstock.tenant where id = $1', [
    tenantId,
  ]);
  await tx.query(
    `with instant as materialized (select clock_timestamp() as at), made as (
       insert into penstock.run (id, tenant_id, sync_id, sync_version, source_connection_id, origin, request_key, priority,
         due_at, queued_at, workflow_id, debounce_key, waiting_reason)
       select $1, $2, $3, $4, $11, 'manual', $5, $6, due, at, $7, $10, case when due > at then 'not_due' end
       from instant, lateral (
         select greatest(at, coalesce($8::timestamptz, at + $9 * interval '1 millisecond')) as due) later
       returning id, tenant_id, sync_id
     )
     insert into penstock.event (tenant_id, kind, sync_id, run_id)
     select tenant_id, 'run.queued', sync_id, id from made`,
    [
      runId,
      tenantId,
      syncId,
      version,
      requestKey,
      request.priority ?? spec.priority,
      workflowIdOf(tenant.rows[0]?.name ?? tenantId, spec.name, runId),
      plan.at,
      plan.inMs,
      plan.debounce,
      spec.source.connection,
    ],
  );
  await insertAudit(tx, scope, { tenantId, action: 'run.trigger', objectId: runId });
  const run = await fetchRun(tx, runId);
  return {
    run,
    created: true,
    news: run.waitingReason === null ? { offered: await fetchOffer(tx, runId) } : {},
  };
}
