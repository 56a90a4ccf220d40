import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { startStack, type Stack } from '../../../src/dev/stack.ts';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import type { RunId } from '../../../src/domain/ids.ts';
import { createLauncher } from '../../../src/schedule/launch.ts';
import { createRedisIndex, type RedisIndex } from '../../../src/schedule/redis-index.ts';
import { refill } from '../../../src/schedule/refill.ts';
import { createSweep } from '../../../src/schedule/sweep.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { expectOutagesInTurns, outagesIn } from '../../support/outages-told.ts';
import { createRedisServers } from '../../support/redis-servers.ts';
import {
  auditSlots,
  createSchedulerRoom,
  endRuns,
  lastingLeases,
  plantDue,
  plantSyncs,
  quickSweeps,
  type PlantedSyncs,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let stack: Stack<'redis'>;
let room: SchedulerRoom;
let index: RedisIndex;
beforeAll(async () => {
  stack = await startStack({
    dataDir: await mkdtemp(join(tmpdir(), 'penstock-redis-')),
    log: () => {},
    servers: ['redis'],
  });
  room = await createSchedulerRoom(stack.redis.url);
  index = await room.openIndex(lastingLeases);
});
afterEach(() => room.clear());
afterAll(async () => {
  await room.close();
  await stack.stop({ discard: true });
});

const ofSweeps = ['sweep: without the index', 'sweep: the index serves again'] as const;

/** Loses the later half of what Redis wrote down. */
async function cutAppendOnlyFile(): Promise<void> {
  const folder = join(stack.dataDir, 'redis');
  const names = await readdir(folder, { recursive: true });
  // Redis 7 keeps a folder: what was written since the last rewrite is in the incremental file.
  const file = join(
    folder,
    names.find((name) => /appendonly\.aof(\.\d+\.incr\.aof)?$/.test(name))!,
  );
  await truncate(file, Math.floor((await stat(file)).size / 2));
}

/** Ends runs as soon as they are started, as quick workers would; returns how to stop. */
function work(): () => Promise<void> {
  const stopping = new AbortController();
  const step = async (done: number): Promise<void> => {
    const runs = room.starter.started.slice(done, done + 50);
    const runIds = runs.map((run) => run.runId);
    // Redis may be away: the sweep frees the places then.
    await endRuns(room, index, runIds).catch(() => {});
    await delay(20);
    if (!stopping.signal.aborted) await step(done + runs.length);
  };
  const ended = step(0);
  return () => {
    stopping.abort();
    return ended;
  };
}

/** All that was planted: every fire time has its slot, and every run its own. */
async function expectAudited(...plantings: PlantedSyncs[]): Promise<Record<string, number>> {
  const total: Record<string, number> = {};
  for (const { syncIds, firstMs } of plantings)
    for (const syncId of syncIds)
      for (const [outcome, n] of Object.entries(await auditSlots(room.pool, syncId, firstMs!)))
        total[outcome] = (total[outcome] ?? 0) + n;
  const { rows } = await room.pool.query(
    'select count(*)::int as n, count(distinct (sync_id, nominal_at))::int as slots from penstock.run',
  );
  expect(rows[0]).toEqual({ n: total['run'], slots: total['run'] });
  return total;
}

const plant = (count: number): Promise<PlantedSyncs> => plantDue(room.pool, { count });
const started = (count: number) =>
  waitUntil(`${count} runs are started`, () => room.starter.started.length >= count);
const placesMatchRows = () =>
  waitUntil('at rest the places are exactly the runs that hold them', async () => {
    const held = await room.redis.smembers(room.key('active:global'));
    const rows = await room.store.fetchPlaceHolders();
    return held.length === rows.length && rows.every((run) => held.includes(run.runId));
  });

describe('P7: Redis can be lost at any moment', () => {
  test('emptied again and again under two dispatchers: no slot is lost, none is started twice', async () => {
    const planted = await plantSyncs(room.pool, { count: 20, schedule: { every: '200ms' } });
    const dispatchers = [await room.startDispatcher(), await room.startDispatcher()];
    const stopWork = work();
    for (const count of [20, 60, 100, 140]) {
      await started(count);
      await room.redis.flushall();
    }
    await started(200);
    await stopWork();
    await Promise.all(dispatchers.map((dispatcher) => dispatcher.stop()));
    const total = await expectAudited(planted);
    expect(total['run']).toBeGreaterThanOrEqual(200);
    expect(new Set(room.starter.started.map((run) => run.runId)).size).toBe(room.starter.started.length);
  });

  test('emptied while runs are at work: their places are counted before anything is admitted', async () => {
    const options = { globalCap: 3, ...quickSweeps };
    await plant(3);
    await room.startDispatcher({ options });
    await started(3);
    await plant(5);
    await room.redis.flushall();
    await room.untilFilled();
    await placesMatchRows();
    expect(room.starter.started).toHaveLength(3);
    await endRuns(
      room,
      index,
      room.starter.started.map((run) => run.runId),
    );
    await started(6);
  });

  test('emptied together with the dispatcher that was starting runs: another starts them', async () => {
    const planted = await plant(3);
    const { settled } = await room.store.settle(planted.syncIds);
    await room.store.startRuns(settled.flatMap((sync) => sync.offered.map((run) => run.runId)));
    await room.redis.flushall();
    await room.startDispatcher();
    await started(3);
    await placesMatchRows();
  });

  test('a refill writes every due time, the waiting runs, the places and the limits from the rows', async () => {
    const due = await plantSyncs(room.pool, { count: 2_500, schedule: { every: '1h' } });
    const waiting = await plant(3);
    await room.store.settle(waiting.syncIds);
    const heavy = await plantSyncs(room.pool, { schedule: { manual: true }, weight: 7 });
    expect(await refill(room.deps({ index }), { again: false })).toBe(true);
    expect(await room.redis.zcard(room.key('due'))).toBe(2_503);
    expect(await room.redis.zscore(room.key('due'), due.syncIds[0]!)).toBe(String(due.firstMs));
    expect(await room.redis.zcard(room.key(`ready:${waiting.tenantId}`))).toBe(3);
    expect(await room.redis.hget(room.key('limits'), heavy.tenantId)).toBe('1 7 100000');
    expect(await refill(room.deps({ index }), { again: false })).toBe(false);
  });

  test('its append-only file cut: an older index is put right from the rows', async () => {
    const planted = await plant(40);
    await room.startDispatcher();
    await started(40);
    await stack.redis.kill();
    await cutAppendOnlyFile();
    await stack.redis.start();
    const more = await plant(10);
    await started(50);
    await placesMatchRows();
    await expectAudited(planted, more);
  });
});

describe('while Redis is away', () => {
  test('frozen: calls fail within a bounded time, and what is due starts from the rows', async () => {
    await room.startDispatcher({ options: { globalCap: 4, ...quickSweeps } });
    await room.untilFilled();
    stack.redis.signal('SIGSTOP');
    try {
      const planted = await plant(6);
      await expect(index.claimDue(1)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await started(4);
      expect(room.starter.started).toHaveLength(4);
      expect(await auditSlots(room.pool, planted.syncIds[0]!, planted.firstMs!)).toEqual({ run: 1 });
    } finally {
      stack.redis.signal('SIGCONT');
    }
    await placesMatchRows();
    expect(room.starter.started).toHaveLength(4);
    await endRuns(
      room,
      index,
      room.starter.started.map((run) => run.runId),
    );
    await started(6);
    await placesMatchRows();
  });

  test('back with the places of before: what was started from the rows counts before any goes to others', async () => {
    expect(await refill(room.deps({ index }), { again: false })).toBe(true);
    const { syncIds } = await plant(3);
    const { settled } = await room.store.settle(syncIds);
    const [ended, startedFromRows, waiting] = settled.flatMap((sync) => sync.offered);
    await room.store.startRuns([ended!.runId, startedFromRows!.runId]);
    await endRuns(room, index, [ended!.runId]);
    await index.holdPlaces([ended!]);
    await index.offerRuns([waiting!]);
    const admitted: RunId[] = [];
    const withAdmission: RedisIndex = {
      ...index,
      freePlaces: async (runIds) => {
        await index.freePlaces(runIds);
        const { tickets } = await index.admit({ limit: 10, cap: 1 });
        admitted.push(...tickets.map(({ runId }) => runId));
      },
    };
    const deps = room.deps({ index: withAdmission });
    const sweep = createSweep(
      { ...deps, launcher: createLauncher(deps, 1, () => {}) },
      { overdueMs: 60_000, ticketMs: 60_000, cap: 1 },
    );
    await sweep();
    expect(admitted).toEqual([]);
    expect(await index.fetchPlaces()).toEqual([startedFromRows!.runId]);
  });

  test('killed: one line says that it is away and one that it is back', async () => {
    const planted = await plant(3);
    const [busy, idle] = [createKeptLogger(), createKeptLogger()];
    await room.startDispatcher({ index: await room.openIndex({}, undefined, busy.logger), log: busy.logger });
    await room.openIndex({}, undefined, idle.logger);
    await started(3);
    await stack.redis.kill();
    const more = await plant(3);
    await started(6);
    await stack.redis.start();
    await placesMatchRows();
    const ofIndex = () => busy.lines.filter((line) => line.includes('"purpose":"index"'));
    await waitUntil('its end is told', () =>
      [outagesIn(ofIndex()), outagesIn(idle.lines), outagesIn(busy.lines, ofSweeps)].every((told) =>
        told.at(-1)?.endsWith('serves again'),
      ),
    );
    expectOutagesInTurns(ofIndex());
    expectOutagesInTurns(idle.lines);
    expectOutagesInTurns(busy.lines, ofSweeps);
    expect(busy.lines.filter((line) => line.includes('a step failed'))).toEqual([]);
    await expectAudited(planted, more);
  });
});

describe('a Redis that answers and takes no writes counts as away', () => {
  /** @param begin from then on it takes none */
  const expectStartsFromRows = async (begin: () => Promise<unknown>): Promise<void> => {
    room.lines.length = 0;
    await begin();
    await plant(3);
    await started(3);
    expectOutagesInTurns(room.lines, ofSweeps);
    expect(outagesIn(room.lines, ofSweeps).at(-1)).toBe(ofSweeps[0]);
    const ofIndex = room.lines.filter((line) => line.includes('"purpose":"index"'));
    expectOutagesInTurns(ofIndex);
    expect(outagesIn(ofIndex).at(-1)).toBe('does not serve');
  };

  test('full: what is due starts from the rows, and from the index when there is room again', async () => {
    await room.startDispatcher();
    await room.untilFilled();
    try {
      await expectStartsFromRows(() => room.redis.config('SET', 'maxmemory', '1'));
      await expect(index.check()).rejects.toMatchObject({ message: expect.stringContaining('maxmemory') });
    } finally {
      await room.redis.config('SET', 'maxmemory', '0');
    }
    await placesMatchRows();
  });

  test('demoted to a replica: what is due starts from the rows', async () => {
    await room.startDispatcher();
    await room.untilFilled();
    try {
      // Its master is nowhere.
      await expectStartsFromRows(() => room.redis.replicaof('127.0.0.1', '1'));
      await expect(index.check()).rejects.toMatchObject({ message: expect.stringContaining('replica') });
    } finally {
      await room.redis.replicaof('NO', 'ONE');
    }
    await placesMatchRows();
  });

  test('loading its data: a dispatcher that starts meanwhile waits for nothing', async () => {
    const servers = await createRedisServers();
    const node = await servers.start('rdbcompression no');
    // It hears what is said to it every 2 MiB.
    for (let n = 0; n < 30; n++) await node.admin.set(`k${n}`, 'x'.repeat(2_200_000));
    await node.admin.save();
    await node.kill();
    await node.start('key-load-delay 1000000');
    const own = createRedisIndex({
      address: parseRedisUrl(node.url),
      namespace: room.key('').split(':')[1]!,
      log: room.deps().log,
    });
    try {
      await expectStartsFromRows(() => room.startDispatcher({ index: own }));
      await node.admin.config('SET', 'key-load-delay', '0');
      await waitUntil(
        'it is loaded, and the index is written',
        async () => (await own.fetchPlaces()).length === 3,
      );
    } finally {
      await room.clear();
      own.close();
      await servers.close();
    }
  });
});

test('a Redis that evicts keys is refused at the start, with what to change', async () => {
  await room.redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
  try {
    await expect(room.startDispatcher({ index })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('noeviction'),
    });
  } finally {
    await room.redis.config('SET', 'maxmemory-policy', 'noeviction');
  }
});
