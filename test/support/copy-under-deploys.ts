/**
 * A copy whose workers are restarted one after the other, as deploys do, until the test has had enough of it; then it is
 * let run to its end, and everything is counted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '@jest/globals';
import type { SyncRunResult } from '../../src/workflows/sync-run.ts';
import type { GuardedProcess } from '../../src/dev/guard.ts';
import type { CopyingRoom } from './copying-room.ts';
import { expectSameRows } from './expect-same-rows.ts';
import { waitUntil } from './wait-until.ts';

interface Deploys {
  /** At work at once. */
  workers: number;
  /** Restarts in all; one worker each. */
  count: number;
  /** From one restart to the next, unless the worker takes longer. */
  everyMs: number;
  /** Copied at once. */
  parallel: number;
  rows: number;
  /** How long each batch of twenty rows takes, while workers are restarted. */
  batchMs: number;
}

/** What it took. */
interface Outlived {
  /** Workflow executions, each of which went on with the one before. */
  executions: number;
  attempts: number;
  /** Rows that were written again, since a worker left them uncommitted. */
  redone: number;
}

const batchRows = 20;
/** Fails unless every row is there once, and a restart has cost no partition more than the batch in hand. */
export async function copyUnderDeploys(
  room: CopyingRoom,
  { workers, count, everyMs, parallel, rows, batchMs }: Deploys,
): Promise<Outlived> {
  await room.source
    .query(`create table deployed as select id, 'user ' || id as label from generate_series(1, ${rows}) id;
    alter table deployed add primary key (id)`);
  await room.destination.query(pacedTarget(batchMs));
  await room.addSync({ name: 'deployed', mode: 'append', key: ['id'], limits: { batchRows, parallel } });
  const fleet = await startWorkers(room, workers);
  const run = await room.startRun('deployed');
  const isCopied = async () => (await countCopying(room)) === parallel;
  for (let n = 0; n < count; n++) {
    const turn = delay(everyMs);
    await waitUntil('every partition has its worker', isCopied);
    await restart(room, fleet, n % workers);
    await turn;
  }
  expect((await run.fetch()).status).toBe('running');
  await room.destination.query('update synced.pace set ms = 0');
  expect((await run.handle.result()) as SyncRunResult).toMatchObject({ status: 'succeeded' });
  await expectSameRows(room, 'deployed', rows);
  expect((await run.fetch()).receipt).toMatchObject({ read: rows, inserted: rows });
  const { rows: attempts } = await room.control.query<{ outcome: string | null }>(
    'select outcome from penstock.run_attempt where run_id = $1',
    [run.runId],
  );
  expect(attempts.filter(({ outcome }) => outcome !== 'yielded' && outcome !== 'finished')).toEqual([]);
  // A sequence forgets nothing that is rolled back: it knows of rows that were written and not committed.
  const { rows: written } = await room.destination.query<{ n: string }>(
    'select last_value as n from synced.written',
  );
  const redone = Number(written[0]!.n) - rows;
  expect(redone).toBeLessThanOrEqual(count * parallel * batchRows);
  return { executions: await countExecutions(room, run.workflowId), attempts: attempts.length, redone };
}

const pacedTarget = (batchMs: number): string => `
  create table synced.pace as select ${batchMs} as ms;
  create sequence synced.written;
  create table synced.deployed (id int primary key, label text);
  create function synced.note() returns trigger language plpgsql as
    $$ begin perform nextval('synced.written'); return new; end $$;
  create function synced.slow() returns trigger language plpgsql as
    $$ begin perform pg_sleep((select ms from synced.pace) / 1000.0); return null; end $$;
  create trigger note before insert on synced.deployed for each row execute function synced.note();
  create trigger slow after insert on synced.deployed for each statement execute function synced.slow()`;

/** The old process ends as it is told to, the new one takes its place. */
async function restart(room: CopyingRoom, fleet: GuardedProcess[], at: number): Promise<void> {
  const former = fleet[at]!;
  former.signal('SIGTERM');
  expect(await former.exited).toEqual({ code: 0, signal: null });
  fleet.splice(at, 1, ...(await startWorkers(room, 1)));
}

/** Resolves when they poll. */
async function startWorkers(room: CopyingRoom, count: number): Promise<GuardedProcess[]> {
  const countStarted = async () => (await room.logs()).split('worker: started').length;
  const before = await countStarted();
  const fleet = await Promise.all(Array.from({ length: count }, () => room.startWorker()));
  await waitUntil('the workers poll', async () => (await countStarted()) === before + count);
  return fleet;
}

async function countCopying({ control }: CopyingRoom): Promise<number> {
  const sql = 'select count(*)::int as n from penstock.run_attempt where ended_at is null';
  return (await control.query<{ n: number }>(sql)).rows[0]!.n;
}

/** Of the run's workflow: it goes on in another one when its history is long. */
async function countExecutions({ client }: CopyingRoom, workflowId: string): Promise<number> {
  let count = 0;
  for await (const _ of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) count += 1;
  return count;
}
