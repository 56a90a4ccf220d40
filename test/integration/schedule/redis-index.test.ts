import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { newId, runIdOf, type RunId, type SyncId, type TenantId } from '../../../src/domain/ids.ts';
import type { RunOffer } from '../../../src/ports/schedule-index.ts';
import type { RedisIndex } from '../../../src/schedule/redis-index.ts';
import { createSchedulerRoom, lastingLeases, type SchedulerRoom } from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: SchedulerRoom;
let index: RedisIndex;
/** What it lends runs out soon. */
let quick: RedisIndex;
beforeAll(async () => {
  room = await createSchedulerRoom();
  index = await room.openIndex(lastingLeases);
  quick = await room.openIndex();
});
afterEach(() => room.redis.flushdb());
afterAll(() => room.close());

const redisNowMs = async (): Promise<number> => {
  const [seconds, microseconds] = await room.redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
};
const scoreOf = async (syncId: SyncId): Promise<number | null> => {
  const score = await room.redis.zscore(room.key('due'), syncId);
  return score === null ? null : Number(score);
};
const publish = (syncId: SyncId, version: number, nextDueAtMs: number | null) =>
  index.publishDue([{ syncId, version, nextDueAtMs }]);

let count = 0;
function newRun(tenantId: TenantId, score: number, syncId = newId('sync')): RunOffer {
  count += 1;
  const connectionId = newId('connection');
  return { runId: runIdOf(syncId, 'manual', String(count)), tenantId, syncId, connectionId, score };
}
const fill = async (): Promise<void> => {
  await index.beginRefill('t', { again: false });
  await index.advanceRefill('t', 'all');
};
const admitIds = async (cap: number, limit = 100): Promise<RunId[]> =>
  (await index.admit({ limit, cap })).tickets.map((ticket) => ticket.runId);

describe('the due index', () => {
  test('lends what is due, longest due first, and says when the next is due', async () => {
    const [a, b, c] = [newId('sync'), newId('sync'), newId('sync')];
    const now = await redisNowMs();
    await index.publishDue([
      { syncId: a, version: 1, nextDueAtMs: now - 1 },
      { syncId: b, version: 1, nextDueAtMs: now - 1_000 },
      { syncId: c, version: 1, nextDueAtMs: now + 600_000 },
    ]);
    const claim = await index.claimDue(100);
    expect(claim.syncIds).toEqual([b, a]);
    expect(claim.nextInMs).toBeGreaterThan(0);
    expect((await index.claimDue(100)).syncIds).toEqual([]);
  });

  test('invariant 1: a claim never removes a sync; that of a dead caller comes back', async () => {
    const syncId = newId('sync');
    await publish(syncId, 1, 0);
    await quick.claimDue(100);
    expect(await scoreOf(syncId)).not.toBeNull();
    await waitUntil('the lease runs out', async () => (await quick.claimDue(100)).syncIds.includes(syncId));
  });

  test('invariant 2: a publication of an older version is ignored, whatever the order', async () => {
    const syncId = newId('sync');
    await publish(syncId, 2, 2_000);
    await publish(syncId, 1, 9_000);
    await publish(syncId, 1, null);
    expect(await scoreOf(syncId)).toBe(2_000);
    await publish(syncId, 3, null);
    expect(await scoreOf(syncId)).toBeNull();
    expect(await room.redis.keys('*')).toEqual([]);
  });

  test('invariant 2: a postponement never overwrites what was published meanwhile', async () => {
    const [edited, untouched, gone] = [newId('sync'), newId('sync'), newId('sync')];
    await index.publishDue(
      [edited, untouched, gone].map((syncId) => ({ syncId, version: 1, nextDueAtMs: 0 })),
    );
    const { token } = await index.claimDue(100);
    await publish(edited, 2, 5);
    await index.postponeDue(token, [
      { syncId: edited, inMs: 600_000 },
      { syncId: untouched, inMs: 600_000 },
      { syncId: gone, inMs: null },
    ]);
    expect(await scoreOf(edited)).toBe(5);
    expect(await scoreOf(untouched)).toBeGreaterThan(await redisNowMs());
    expect(await scoreOf(gone)).toBeNull();
  });

  test('a call that its caller has given up does nothing', async () => {
    const syncId = newId('sync');
    await publish(syncId, 1, 0);
    const late = await room.redis.eval(
      await claimScript(),
      1,
      room.key('due'),
      100,
      30_000,
      (await redisNowMs()) - 1,
    );
    expect((late as unknown[]).slice(1)).toEqual([0, -1]);
    expect(await scoreOf(syncId)).toBe(0);
  });

  test('wakes a dispatcher for what is due soon, and not for what the next look finds', async () => {
    const wakes: string[] = [];
    const other = await room.openIndex();
    other.onWake((wake) => wakes.push(wake));
    await waitUntil('the subscription stands and a wake-up arrives', async () => {
      await publish(newId('sync'), 1, 0);
      return wakes.includes('due');
    });
    await index.offerRuns([newRun(newId('tenant'), 1)]);
    await waitUntil('the offer wakes', () => wakes.includes('ready'));
    wakes.length = 0;
    await publish(newId('sync'), 1, (await redisNowMs()) + 600_000);
    await index.offerRuns([newRun(newId('tenant'), 1)]);
    await waitUntil('the offer wakes', () => wakes.includes('ready'));
    expect(wakes).toEqual(['ready']);
  });
});

describe('admission', () => {
  test('invariant 6: nothing is admitted before the places have been counted', async () => {
    const run = newRun(newId('tenant'), 1);
    await index.offerRuns([run]);
    expect(await index.admit({ limit: 10, cap: 10 })).toMatchObject({ tickets: [], filled: 'nothing' });
    await index.beginRefill('t', { again: false });
    expect(await admitIds(10)).toEqual([]);
    await index.advanceRefill('t', 'places');
    expect(await admitIds(10)).toEqual([run.runId]);
  });

  test('takes the earliest deadline of a tenant first', async () => {
    await fill();
    const tenant = newId('tenant');
    const runs = [5, 1, 4, 2, 3].map((score) => newRun(tenant, score));
    await index.offerRuns(runs);
    const inOrder = [...runs].sort((a, b) => a.score - b.score).map((run) => run.runId);
    expect(await admitIds(100, 2)).toEqual(inOrder.slice(0, 2));
    expect(await admitIds(100)).toEqual(inOrder.slice(2));
  });

  test('a run that waits gets its newer score', async () => {
    await fill();
    const tenant = newId('tenant');
    const [a, b] = [newRun(tenant, 1), newRun(tenant, 2)];
    await index.offerRuns([a, b]);
    await index.offerRuns([{ ...a, score: 3 }]);
    expect(await admitIds(100)).toEqual([b.runId, a.runId]);
  });

  test('strays are runs that it does not know, or knows with another score; who waits or holds a place is none', async () => {
    await fill();
    const tenant = newId('tenant');
    const [held, waiting, rescored, lost] = [1, 2, 3, 4].map((score) => newRun(tenant, score));
    const parked = { ...newRun(tenant, 5), connectionId: newId('connection') };
    const limits = { connectionId: parked.connectionId, version: 1, maxRuns: 0, startGapMs: 0, coolMs: 0 };
    await index.saveLimits({ connections: [limits] });
    await index.offerRuns([held!, parked]);
    expect(await admitIds(100)).toEqual([held!.runId]);
    await index.offerRuns([waiting!, rescored!]);
    const runs = [held!, waiting!, { ...rescored!, score: 9 }, lost!, parked, { ...parked, score: 6 }];
    await room.redis.zrem(room.key('tenants'), tenant);
    expect(await index.findStrays(runs)).toEqual([rescored!.runId, lost!.runId, parked.runId]);
    expect(await admitIds(2)).toEqual([waiting!.runId]);
  });

  test('invariant 3 and 4: never over the cap, and a run that holds a place is not admitted again', async () => {
    await fill();
    const runs = [1, 2, 3].map((score) => newRun(newId('tenant'), score));
    await index.offerRuns(runs);
    const first = await admitIds(2);
    expect(first).toHaveLength(2);
    await index.offerRuns(runs);
    expect(await admitIds(2)).toEqual([]);
    const rest = runs.map((run) => run.runId).filter((runId) => !first.includes(runId));
    expect(await admitIds(10)).toEqual(rest);
  });

  test('gives at most one run of a sync a call', async () => {
    await fill();
    const [tenant, syncId] = [newId('tenant'), newId('sync')];
    const runs = [newRun(tenant, 1, syncId), newRun(tenant, 2, syncId), newRun(tenant, 3)];
    await index.offerRuns(runs);
    expect(await admitIds(100)).toEqual([runs[0]!.runId, runs[2]!.runId]);
    expect(await admitIds(100)).toEqual([runs[1]!.runId]);
  });
});

test('a place that is released goes to the next in line', async () => {
  await fill();
  const runs = [1, 2].map((score) => newRun(newId('tenant'), score));
  await index.offerRuns(runs);
  const [first] = await admitIds(1);
  expect(await admitIds(1)).toEqual([]);
  await index.releaseRuns([first!]);
  expect(await admitIds(1)).toEqual(runs.map((run) => run.runId).filter((runId) => runId !== first));
});

describe('tickets', () => {
  test('one that runs out is handed on with its place, also when there is no room', async () => {
    await fill();
    const run = newRun(newId('tenant'), 1);
    await index.offerRuns([run]);
    const [ticket] = (await quick.admit({ limit: 10, cap: 1 })).tickets;
    let second: typeof ticket;
    await waitUntil('the ticket runs out', async () => {
      [second] = (await quick.admit({ limit: 10, cap: 1 })).tickets;
      return second !== undefined;
    });
    expect(second!.runId).toBe(run.runId);
    expect(second!.token).toBeGreaterThan(ticket!.token);
  });

  test('invariant 7: the earlier holder of a ticket can neither end it nor free its place', async () => {
    await fill();
    const run = newRun(newId('tenant'), 1);
    await index.offerRuns([run]);
    const [ticket] = (await index.admit({ limit: 10, cap: 1 })).tickets;
    const stale = { ...ticket!, token: ticket!.token - 1 };
    await index.confirmStarts([stale]);
    await index.returnTickets([{ ...stale, next: 'drop' }]);
    expect(await room.redis.zscore(room.key('tickets'), run.runId)).toBe(String(ticket!.token));
    expect(await room.redis.sismember(room.key('active:global'), run.runId)).toBe(1);
  });

  test('one that was started keeps its place; one that was not gives it back', async () => {
    await fill();
    const runs = [1, 2, 3].map((score) => newRun(newId('tenant'), score));
    await index.offerRuns(runs);
    const tickets = (await index.admit({ limit: 10, cap: 3 })).tickets;
    const ticketOf = (n: number) => tickets.find((ticket) => ticket.runId === runs[n]!.runId)!;
    await index.confirmStarts([ticketOf(0)]);
    await index.returnTickets([
      { ...ticketOf(1), next: 'wait' },
      { ...ticketOf(2), next: 'drop' },
    ]);
    expect(await index.fetchPlaces()).toEqual([runs[0]!.runId]);
    expect(await admitIds(3)).toEqual([runs[1]!.runId]);
  });

  test('invariant 8: a place without a row behind it is freed, one with a ticket is not', async () => {
    await fill();
    const [lost, admitted] = [newRun(newId('tenant'), 1), newRun(newId('tenant'), 2)];
    await index.holdPlaces([lost]);
    await index.offerRuns([admitted]);
    await admitIds(2);
    await index.freePlaces([lost.runId, admitted.runId]);
    expect(await room.redis.smembers(room.key('active:global'))).toEqual([admitted.runId]);
  });

  test('what is released leaves nothing behind', async () => {
    await fill();
    const runs = [1, 2].map((score) => newRun(newId('tenant'), score));
    await index.offerRuns(runs);
    await admitIds(1);
    await index.releaseRuns(runs.map((run) => run.runId));
    expect(await room.redis.exists(room.key('runs'), room.key('tickets'), room.key('active:global'))).toBe(0);
    expect(await admitIds(10)).toEqual([]);
  });
});

describe('a refill', () => {
  test('is done by one, and not again when the index is full', async () => {
    expect(await index.beginRefill('a', { again: false })).toBe(true);
    expect(await index.beginRefill('b', { again: false })).toBe(false);
    expect(await index.advanceRefill('b', 'all')).toBe(false);
    expect(await index.advanceRefill('a', 'all')).toBe(true);
    expect(await index.beginRefill('b', { again: false })).toBe(false);
    expect(await index.beginRefill('b', { again: true })).toBe(true);
  });

  test('marks nothing when Redis was emptied meanwhile', async () => {
    await index.beginRefill('a', { again: false });
    await room.redis.flushdb();
    expect(await index.advanceRefill('a', 'all')).toBe(false);
    expect((await index.admit({ limit: 1, cap: 1 })).filled).toBe('nothing');
  });
});

test('every key has the hash tag, so that all lie in one slot of a cluster', async () => {
  await fill();
  const run = newRun(newId('tenant'), 1);
  await publish(run.syncId, 1, 1);
  await index.offerRuns([run, newRun(newId('tenant'), 2)]);
  await index.saveLimits({ tenants: [{ tenantId: run.tenantId, version: 1, weight: 2, maxRuns: 1 }] });
  await admitIds(1);
  const keys = await room.redis.keys('*');
  expect(keys.length).toBeGreaterThanOrEqual(9);
  expect(keys.filter((key) => !key.startsWith('{penstock}:'))).toEqual([]);
});

test('two control databases in one Redis never see each other’s entries', async () => {
  const stranger = await createSchedulerRoom(room.redisUrl);
  await publish(newId('sync'), 1, 0);
  const other = await stranger.openIndex();
  expect((await other.claimDue(10)).syncIds).toEqual([]);
  await stranger.close();
});

async function claimScript(): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(new URL('../../../src/schedule/commands/claimDue.lua', import.meta.url), 'utf8');
}
