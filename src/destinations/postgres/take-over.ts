/**
 * Copies without a control database (`penstock copy`): nobody but the destination knows which runs there were, so each
 * notes itself, and makes those before it final (`closeRun` of the commit protocol) before it writes.
 */
import type { RunId, SyncId } from '../../domain/ids.ts';
import { closeRun } from './close-run.ts';
import type { Sql } from './destination-session.ts';
import { lockRun } from './lock-run.ts';

interface TakeOverRequest {
  run: RunId;
  sync: SyncId;
}

/** Serialised by the sync, so that of two that come at once one is the last: both would else end the other. RUN_FINAL. */
export async function takeOver(sql: Sql, { run: runId, sync }: TakeOverRequest): Promise<void> {
  await sql('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`penstock copy ${sync}`]);
  await lockRun(sql, runId);
  const earlier = await sql<{ id: RunId }>(
    'select id from _penstock.run where copy_of = $1 and not final and id <> $2',
    [sync, runId],
  );
  for (const { id } of earlier) await closeRun(sql, id);
  await sql('update _penstock.run set copy_of = $2 where id = $1', [runId, sync]);
}
