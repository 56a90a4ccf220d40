/** The first lock of the commit protocol. */
import { PenstockError } from '../../domain/errors.ts';
import type { RunId } from '../../domain/ids.ts';
import type { Sql } from './destination-session.ts';

/** Locks the run's row against being made final meanwhile (inserted if absent). RUN_FINAL. */
export async function lockRun(sql: Sql, runId: RunId): Promise<void> {
  if (await lockRunRow(sql, runId, 'share')) throw runFinal(runId);
}

export const runFinal = (runId: RunId): PenstockError =>
  new PenstockError('RUN_FINAL', `The run ${runId} is final.`);

/**
 * The same; whether the run is final already.
 *
 * @param strength `no key update` for who may make it final himself: of two that share it neither could
 */
export async function lockRunRow(
  sql: Sql,
  runId: RunId,
  strength: 'share' | 'no key update',
): Promise<boolean> {
  const lock = () =>
    sql<{ final: boolean }>(`select final from _penstock.run where id = $1 for ${strength}`, [runId]);
  const insert = () =>
    sql<{ final: boolean }>(
      'insert into _penstock.run (id) values ($1) on conflict do nothing returning final',
      [runId],
    );
  let [row] = await lock();
  if (!row) [row] = await insert();
  // Somebody else was first, and is waited for.
  if (!row) [row] = await lock();
  return row!.final;
}
