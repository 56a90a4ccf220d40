/** Makes a run final here (`closeRun` of the commit protocol): from now on nothing commits for it. */
import type { RunId } from '../../domain/ids.ts';
import type { Receipt } from '../../domain/run-states.ts';
import type { RunOutcome } from '../../ports/destination.ts';
import type { Sql } from './destination-session.ts';
import { leavesWork } from './load.ts';
import type { LoadRow } from './load-row.ts';

const emptyReceipt: Receipt = {
  read: 0,
  inserted: 0,
  updated: 0,
  unchanged: 0,
  deduplicated: 0,
  rejected: 0,
  tombstones: 0,
  deleted: 0,
  batches: 0,
  bytes: 0,
};

/** What is true of a run where `_penstock` does not exist. */
export const unknownRun = (): RunOutcome => ({ succeeded: false, receipt: { ...emptyReceipt }, loads: [] });

/** Also of a run never seen here. The receipt is the sum over the loads that it finished. */
export async function closeRun(sql: Sql, runId: RunId): Promise<RunOutcome> {
  await sql(
    `insert into _penstock.run (id, final) values ($1, true) on conflict (id) do update set final = true`,
    [runId],
  );
  await sql('update _penstock.lease set run = null where run = $1', [runId]);
  const loads = await sql<Pick<LoadRow, 'id' | 'openedBy' | 'plan' | 'receipt'>>(
    `select id, opened_by as "openedBy", plan, receipt from _penstock.load
      where finished_by = $1 and phase = 'done' order by closed_at`,
    [runId],
  );
  const outcome = unknownRun();
  for (const { receipt } of loads)
    for (const name of Object.keys(emptyReceipt) as (keyof Receipt)[])
      outcome.receipt[name] += (receipt as Receipt)[name] ?? 0;
  return {
    ...outcome,
    succeeded: loads.some((load) => !leavesWork(load, runId)),
    loads: loads.map((load) => load.id),
  };
}
