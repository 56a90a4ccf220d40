/** What rows say of caps: to a dispatcher without Redis, to one whose index missed something, and after a throttle answer. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunId } from '../../../src/domain/ids.ts';
import type { RedisIndex } from '../../../src/schedule/redis-index.ts';
import { refill } from '../../../src/schedule/refill.ts';
import {
  createSchedulerRoom,
  endRuns,
  plantDue,
  quickSweeps,
  type PlantedSyncs,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: SchedulerRoom;
let index: RedisIndex;
beforeAll(async () => {
  room = await createSchedulerRoom();
  index = await room.openIndex();
});
afterEach(() => room.clear());
afterAll(() => room.close());

/** Their due times, as queued runs. */
async function queue(planted: PlantedSyncs): Promise<RunId[]> {
  const { settled } = await room.store.settle(planted.syncIds);
  return settled.flatMap((sync) => sync.offered.map((run) => run.runId));
}
const admissible = async (limit = 100) => new Set(await room.store.fetchAdmissible(1_000, limit));
const countOf = (found: ReadonlySet<RunId>, runs: readonly RunId[]): number =>
  runs.filter((run) => found.has(run)).length;
const coolDown = ({ connectionId }: PlantedSyncs, ms: number) =>
  room.pool.query(
    `update penstock.connection set limits_version = limits_version + 1,
       cool_until = clock_timestamp() + $2 * interval '1 millisecond' where id = $1`,
    [connectionId, ms],
  );

test('without Redis the rows keep to the caps of tenants and connections, and count who is at work', async () => {
  const small = await queue(await plantDue(room.pool, { count: 5, maxRuns: 3 }));
  const narrow = await queue(await plantDue(room.pool, { count: 5, connection: { maxRuns: 2 } }));
  const paced = await queue(await plantDue(room.pool, { count: 5, connection: { startsPerMinute: 1 } }));
  const cooling = await plantDue(room.pool, { count: 5 });
  const waiting = await queue(cooling);
  await coolDown(cooling, 3_600_000);
  const free = await queue(await plantDue(room.pool, { count: 5 }));
  const found = await admissible();
  expect([small, narrow, paced, waiting, free].map((runs) => countOf(found, runs))).toEqual([3, 2, 1, 0, 5]);
  expect((await admissible(4)).size).toBe(4);
  await room.store.startRuns([small[0]!, narrow[0]!, paced[0]!]);
  const left = await admissible();
  expect([small, narrow, paced].map((runs) => countOf(left, runs))).toEqual([2, 1, 0]);
});

test('without Redis the rows keep the distance between the starts of a source, also when its runs are short', async () => {
  const planted = await plantDue(room.pool, { count: 3, connection: { startsPerMinute: 1 } });
  const runs = await queue(planted);
  const [first] = await admissible();
  await room.store.startRuns([first!]);
  await endRuns(room, index, [first!]);
  expect(countOf(await admissible(), runs)).toBe(0);
  const passes = (ms: number) =>
    room.pool.query(
      `update penstock.connection set last_start_at = last_start_at - $1 * interval '1 millisecond'`,
      [ms],
    );
  await passes(60_000);
  expect(countOf(await admissible(), runs)).toBe(1);
});

test('without Redis the sweep starts no more than the caps allow', async () => {
  await plantDue(room.pool, { count: 5, connection: { maxRuns: 2 } });
  const away = await room.openIndex();
  away.close();
  await room.startDispatcher({ index: away, options: { globalCap: 100, ...quickSweeps } });
  await waitUntil('two are started', () => room.starter.started.length === 2);
  await room.store.fetchAdmissible(100, 100);
  expect(await admissible()).toEqual(new Set());
});

test('a capped connection is never over its cap, delays no other, and goes on as its runs end', async () => {
  await plantDue(room.pool, { count: 6, connection: { maxRuns: 2 } });
  await plantDue(room.pool, { count: 10 });
  await room.startDispatcher();
  await waitUntil('the others are started', () => room.starter.started.length === 12);
  const isNarrow = await narrowRuns();
  for (let ended = 0; ended < 6; ended += 1) {
    const mine = () => room.starter.started.filter((run) => isNarrow.has(run.runId));
    await waitUntil('the next is started', () => mine().length === Math.min(6, ended + 2));
    await endRuns(room, index, [mine()[ended]!.runId]);
  }
});

const narrowRuns = async (): Promise<Set<RunId>> => {
  const { rows } = await room.pool.query<{ id: RunId }>(
    `select r.id from penstock.run r join penstock.connection c on c.id = r.source_connection_id
     where c.max_runs = 2`,
  );
  return new Set(rows.map(({ id }) => id));
};

test('a limit of which the index did not hear holds after the next sweep', async () => {
  const planted = await plantDue(room.pool, { count: 5, connection: { maxRuns: 1 } });
  await room.startDispatcher();
  await waitUntil('one is started', () => room.starter.started.length === 1);
  await room.pool.query(
    'update penstock.connection set max_runs = 3, limits_version = limits_version + 1 where id = $1',
    [planted.connectionId],
  );
  await waitUntil('three are started', () => room.starter.started.length === 3);
});

test('rows refuse a run whose source cools down, and say for how long; it starts when that is over', async () => {
  const planted = await plantDue(room.pool);
  const [runId] = await queue(planted);
  await coolDown(planted, 3_600_000);
  const [verdict] = await room.store.startRuns([runId!]);
  expect(verdict).toMatchObject({ runId, verdict: 'wait', reason: 'cooling_down' });
  const { inMs } = verdict as { inMs: number };
  expect([inMs > 3_500_000, inMs <= 3_600_000]).toEqual([true, true]);
  await coolDown(planted, 700);
  await room.startDispatcher();
  await waitUntil('it is started', () => room.starter.started.length === 1);
  const { rows } = await room.pool.query(
    `select e.at >= c.cool_until as ok from penstock.event e, penstock.connection c
     where e.kind = 'run.starting' and c.id = $1`,
    [planted.connectionId],
  );
  expect(rows).toEqual([{ ok: true }]);
});

describe('a run that is not due yet', () => {
  const seldom = { globalCap: 1, ...quickSweeps, lookEveryMs: 60_000, sweepEveryMs: 60_000 };
  const offerEarly = async (dueIn: string): Promise<RunId> => {
    const planted = await plantDue(room.pool, { count: 1 });
    const [runId] = await queue(planted);
    await room.pool.query(`update penstock.run set due_at = clock_timestamp() + $2::interval where id = $1`, [
      runId,
      dueIn,
    ]);
    // A dispatcher that finds the index empty looks again when it must, which is seldom here.
    await refill(room.deps({ index }), { again: false });
    await index.offerRuns([{ ...planted, runId: runId!, syncId: planted.syncIds[0]!, score: 0 }]);
    return runId!;
  };

  test('leaves its place to others', async () => {
    const runId = await offerEarly('1 h');
    await room.startDispatcher({ options: seldom });
    await waitUntil(
      'it waits for its time',
      async () => (await room.redis.zscore(room.key('later'), runId)) !== null,
    );
    expect(await room.redis.scard(room.key('active:global'))).toBe(0);
    expect(room.starter.started).toEqual([]);
  });

  test('is started when it is, however seldom a dispatcher looks', async () => {
    await offerEarly('500 ms');
    await room.startDispatcher({ options: seldom });
    await waitUntil('it is started', () => room.starter.started.length === 1);
    const { rows } = await room.pool.query(
      `select e.at >= r.due_at as ok from penstock.run r join penstock.event e on e.run_id = r.id
       where e.kind = 'run.starting'`,
    );
    expect(rows).toEqual([{ ok: true }]);
  });
});

test('a run whose row cannot be changed holds no place: it is tried again later', async () => {
  const [poisoned] = await queue(await plantDue(room.pool));
  const [healthy] = await queue(await plantDue(room.pool));
  await room.pool.query(
    `alter table penstock.run add constraint poison check (id <> '${poisoned}') not valid`,
  );
  try {
    await room.startDispatcher({ options: { globalCap: 1, ...quickSweeps } });
    await waitUntil('the other is started', () => room.starter.started.some((run) => run.runId === healthy));
    expect(await room.redis.zscore(room.key('later'), poisoned!)).not.toBeNull();
  } finally {
    await room.pool.query('alter table penstock.run drop constraint poison');
  }
});
