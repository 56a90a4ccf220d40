/**
 * The oracle of everything that is done to a run: whatever it was, control database, destination, source, index and
 * engine say the same of it afterwards, and no row is lost, doubled or left over.
 */
import { expect } from '@jest/globals';
import type { RunId } from '../../src/domain/ids.ts';
import { addsUp, isFinal, runChanges, type RunStatus } from '../../src/domain/run-states.ts';
import type { ScheduledRoom, ScheduledRun } from './scheduled-room.ts';
import { waitUntil } from './wait-until.ts';

/** Statuses in which a run rests: nothing of it is connected to anything. */
type Resting = Extract<RunStatus, 'paused' | 'succeeded' | 'failed' | 'cancelled'>;

/** Waits until the run rests in that status, and fails with what is not as it must be then. */
export async function expectRunInOrder(
  room: ScheduledRoom,
  run: ScheduledRun,
  status: Resting,
): Promise<void> {
  await waitUntil(`it is ${status}`, async () => (await run.fetch()).status === status);
  await waitUntil('all sessions of it are gone', async () => (await listSessions(room)).length === 0);
  await waitUntil('its place is free', async () => !(await room.fetchPlaces()).includes(run.runId));
  await expectControl(room, run, status);
  await expectDestination(room, run.runId, status);
  await waitUntil(`its workflow is ${status === 'paused' ? 'open' : 'closed'}`, async () => {
    const { status: workflow } = await run.handle.describe();
    return (workflow.name === 'RUNNING') === (status === 'paused');
  });
}

async function listSessions(room: ScheduledRoom): Promise<unknown[]> {
  const sql = `select from pg_stat_activity where datname = current_database() and usename like 'copier%'`;
  const found = await Promise.all([room.source, room.destination].map((pool) => pool.query(sql)));
  return found.flatMap(({ rows }) => rows);
}

async function expectControl({ control }: ScheduledRoom, run: ScheduledRun, status: Resting): Promise<void> {
  const { endedAt, error, receipt, progress } = await run.fetch();
  expect([endedAt !== null, error !== null]).toEqual([isFinal(status), status === 'failed']);
  if (status === 'succeeded') expect(addsUp(receipt!)).toBe(true);
  const { rows: attempts } = await control.query<{ outcome: string | null; rows: string }>(
    'select outcome, rows from penstock.run_attempt where run_id = $1 order by epoch',
    [run.runId],
  );
  expect(progress.rows).toBe(attempts.reduce((sum, { rows }) => sum + Number(rows), 0));
  const { rows: changes } = await control.query<{ from: RunStatus; to: RunStatus }>(
    `select data->>'from' as "from", substr(kind, 5) as "to" from penstock.event
      where run_id = $1 and data ? 'from' order by id`,
    [run.runId],
  );
  expect(changes.at(-1)?.to).toBe(status);
  for (const [n, { from, to }] of changes.entries()) {
    expect(from).toBe(n === 0 ? 'queued' : changes[n - 1]!.to);
    expect(allowed).toContainEqual([from, to]);
  }
}

const allowed = Object.values(runChanges).flatMap(({ from, to }) => from.map((one) => [one, to]));

/** Each partition's batches are 1..n and meet at their ends; what they counted is what the target holds, each row once. */
async function expectDestination(
  { destination, control }: ScheduledRoom,
  runId: RunId,
  status: Resting,
): Promise<void> {
  const { rows: finals } = await destination.query('select final from _penstock.run where id = $1', [runId]);
  // A run that ended before it opened a load may be unknown here.
  if (finals.length > 0) expect(finals).toEqual([{ final: isFinal(status) }]);
  if (isFinal(status))
    expect((await destination.query('select from _penstock.lease where run = $1', [runId])).rowCount).toBe(0);
  const { rows: broken } = await destination.query(
    `select load, partition, batch from (
       select c.*, row_number() over w as at, lag(key_hi) over w as before from _penstock.checkpoint c
       window w as (partition by load, partition order by batch)) chained
     where batch <> at or key_lo is distinct from before`,
  );
  expect(broken).toEqual([]);
  const { rows: tables } = await control.query<{ sync: string; table: string }>(
    `select r.sync_id as sync, v.spec->'destination'->>'table' as table from penstock.run r
       join penstock.sync_version v on v.sync_id = r.sync_id and v.version = r.sync_version where r.id = $1`,
    [runId],
  );
  const { sync, table } = tables[0]!;
  const { rows: counts } = await destination.query<{ inserted: string; there: string; ids: string }>(
    `select (select coalesce(sum(inserted), 0) from _penstock.checkpoint c join _penstock.load l on l.id = c.load
              where l.sync = $1) as inserted, count(*) as there, count(distinct id) as ids from ${table}`,
    [sync],
  );
  const { inserted, there, ids } = counts[0]!;
  expect({ there, ids }).toEqual({ there: inserted, ids: inserted });
}
