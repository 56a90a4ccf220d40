/**
 * Every change of a run's status, and nothing else writes `run.status`: one guarded update, its event in the same
 * statement. The allowed changes are data in src/domain/run-states.ts.
 */
import type { LoadId, RunId } from '../domain/ids.ts';
import { isFinal, runChanges, type Receipt, type RunChange, type RunStatus } from '../domain/run-states.ts';
import { pauseFailing } from './auto-pause.ts';
import { followParts } from './backfill-parts.ts';
import type { Tx } from './transaction.ts';
import { recordUpstreamEnds } from './upstream-ends.ts';

/** Columns that a change may set beside the status. Absent members leave the column as it is. */
export interface RunPatch {
  endReason?: string;
  errorCode?: string;
  errorMessage?: string;
  receipt?: Receipt;
  /** The loads that the receipt sums up. */
  loadIds?: readonly LoadId[];
  /** Of its connections, unless the run has them already. */
  sourceVersion?: number;
  destinationVersion?: number;
  /** Of the event, for people: ids and numbers. */
  data?: Record<string, unknown>;
}

/**
 * Makes one change if the run is in a status that allows it.
 * @returns whether it was made; false leaves the row as it is
 */
export async function changeRun(tx: Tx, runId: RunId, change: RunChange, patch?: RunPatch): Promise<boolean> {
  return (await changeRuns(tx, [runId], change, patch)).length === 1;
}

/**
 * Makes one change to each of the runs that are in a status that allows it; the patch is the same for all.
 * @returns the runs that were changed
 */
export async function changeRuns(
  tx: Tx,
  runIds: readonly RunId[],
  change: RunChange,
  patch: RunPatch = {},
): Promise<RunId[]> {
  if (runIds.length === 0) return [];
  const { from, to } = runChanges[change];
  const { rows } = await tx.query<{ id: RunId; isPart: boolean }>(
    `with old as materialized (
       select id, status as was from penstock.run where id = any($1) order by id for no key update
     ), changed as (
       update penstock.run r
       set status = $3,
           moved_at = clock_timestamp(),
           waiting_reason = case when $3 in ('queued', 'paused') then r.waiting_reason end,
           started_at = case when $3 = 'running' then coalesce(r.started_at, clock_timestamp()) else r.started_at end,
           ended_at = case when $3 in ('succeeded', 'failed', 'cancelled') then clock_timestamp() end,
           retry = case when r.status = $3 then r.retry end,
           paused_steps = case when r.status = $3 then r.paused_steps end,
           end_reason = coalesce($4, r.end_reason),
           error_code = coalesce($5, r.error_code),
           error_message = coalesce($6, r.error_message),
           receipt = coalesce($7::jsonb, r.receipt),
           load_ids = coalesce($9, r.load_ids),
           source_version = coalesce(r.source_version, $10),
           destination_version = coalesce(r.destination_version, $11)
       from old
       where r.id = old.id and old.was = any($2)
       returning r.id, r.tenant_id, r.sync_id, r.backfill_id, old.was
     ), recorded as (
       insert into penstock.event (tenant_id, kind, sync_id, run_id, data)
       select tenant_id, 'run.' || $3, sync_id, id, jsonb_build_object('from', was) || $8::jsonb
       from changed where was <> $3
     )
     select id, backfill_id is not null as "isPart" from changed`,
    [
      runIds,
      from,
      to,
      patch.endReason ?? null,
      patch.errorCode ?? null,
      patch.errorMessage ?? null,
      patch.receipt ? JSON.stringify(patch.receipt) : null,
      JSON.stringify(patch.data ?? {}),
      patch.loadIds ?? null,
      patch.sourceVersion ?? null,
      patch.destinationVersion ?? null,
    ],
  );
  const changed = rows.map(({ id }) => id);
  if (changed.length === 0) return changed;
  if (change === 'fail') await pauseFailing(tx, changed);
  if (isFinal(to)) {
    // A statement of its own: one that waited for a run's row does not see who came after its sync meanwhile.
    if (change !== 'drop') await recordUpstreamEnds(tx, changed);
    const parts = rows.filter(({ isPart }) => isPart);
    await followParts(
      tx,
      parts.map(({ id }) => id),
    );
  }
  return changed;
}

/** The run's status now; undefined when there is no such run (for this tenant). */
export async function fetchRunStatus(tx: Tx, runId: RunId): Promise<RunStatus | undefined> {
  const { rows } = await tx.query<{ status: RunStatus }>('select status from penstock.run where id = $1', [
    runId,
  ]);
  return rows[0]?.status;
}

/** Records something that happened to a run beside its changes of status. */
export async function insertRunEvent(
  tx: Tx,
  { runId, kind, data }: { runId: RunId; kind: string; data: Readonly<Record<string, unknown>> },
): Promise<void> {
  await tx.query(
    `insert into penstock.event (tenant_id, kind, sync_id, run_id, data)
     select tenant_id, $2, sync_id, id, $3 from penstock.run where id = $1`,
    [runId, kind, JSON.stringify(data)],
  );
}
