/** The first lock of the commit protocol. */
import { PenstockError } from '../../domain/errors.ts';
import type { RunId } from '../../domain/ids.ts';
import type { Sql } from './destination-session.ts';

/** Locks the run's row against being made final meanwhile (inserted if absent). RUN_FINAL. */
export async function lockRun(sql: Sql, runId: RunId): Promise<void> {
  await sql('insert into _penstock.run (id) values ($1) on conflict do nothing', [runId]);
  const [row] = await sql<{ final: boolean }>('select final from _penstock.run where id = $1 for share', [
    runId,
  ]);
  if (row!.final) throw new PenstockError('RUN_FINAL', `The run ${runId} is final.`);
}
