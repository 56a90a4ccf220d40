/** Invariants 4 and 12: no cap is exceeded, nobody waits where there is room, and who has none hides nobody behind it. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { newId, runIdOf, type ConnectionId, type RunId, type TenantId } from '../../../src/domain/ids.ts';
import type { ConnectionLimits, RunOffer, Ticket } from '../../../src/ports/schedule-index.ts';
import type { RedisIndex } from '../../../src/schedule/redis-index.ts';
import { createSchedulerRoom, lastingLeases, type SchedulerRoom } from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: SchedulerRoom;
let index: RedisIndex;
beforeAll(async () => {
  room = await createSchedulerRoom();
  index = await room.openIndex(lastingLeases);
});
afterEach(() => room.redis.flushdb());
afterAll(() => room.close());

let count = 0;
const newRun = (tenantId: TenantId, connectionId: ConnectionId, score: number): RunOffer => {
  const syncId = newId('sync');
  return { runId: runIdOf(syncId, 'manual', String((count += 1))), tenantId, syncId, connectionId, score };
};
const newRuns = (tenantId: TenantId, connectionId: ConnectionId, howMany: number): RunOffer[] =>
  Array.from({ length: howMany }, (_, score) => newRun(tenantId, connectionId, score));
const fill = async (): Promise<void> => {
  await index.beginRefill('t', { again: false });
  await index.advanceRefill('t', 'all');
};
const idsOf = (runs: readonly { runId: RunId }[]): RunId[] => runs.map(({ runId }) => runId);
const admit = (limit = 100) => index.admit({ limit, cap: 1_000 });
const admitIds = async (limit?: number): Promise<RunId[]> => idsOf((await admit(limit)).tickets);
const limitConnection = (over: Partial<ConnectionLimits> & { connectionId: ConnectionId }) =>
  index.saveLimits({ connections: [{ version: 2, maxRuns: 4, startGapMs: 0, coolMs: 0, ...over }] });
/** As two sweeps and the admissions after them do it; the runs admitted. */
async function sweepAndAdmit(queued: readonly RunOffer[]): Promise<RunId[]> {
  const admitted: RunId[] = [];
  for (const _ of ['first', 'second']) {
    await index.unparkRuns();
    const strays = await index.findStrays(queued);
    await index.offerRuns(queued.filter(({ runId }) => strays.includes(runId)));
    admitted.push(...(await admitIds()));
  }
  return admitted;
}
const parkedOf = (connection: ConnectionId) => room.redis.zrange(room.key(`parked:${connection}`), '0', '-1');

describe('a tenant at its cap', () => {
  test('has what a new row has, delays no other, and goes on when a place of it is freed', async () => {
    await fill();
    const { rows } = await room.pool.query(
      `select column_default::int as cap from information_schema.columns
       where table_schema = 'penstock' and table_name = 'tenant' and column_name = 'max_runs'`,
    );
    const [crowd, other] = [newId('tenant'), newId('tenant')];
    const runs = Array.from({ length: 30 }, (_, n) => newRun(crowd, newId('connection'), n));
    await index.offerRuns(runs);
    const first = await admitIds();
    expect(first).toEqual(idsOf(runs.slice(0, rows[0].cap)));
    const late = newRun(other, newId('connection'), 99);
    await index.offerRuns([late]);
    expect(await admitIds()).toEqual([late.runId]);
    await index.releaseRuns(first.slice(0, 2));
    expect(await admitIds()).toEqual(idsOf(runs.slice(rows[0].cap, rows[0].cap + 2)));
  });

  test('takes what a changed cap gives it, at once', async () => {
    await fill();
    const tenantId = newId('tenant');
    await index.saveLimits({ tenants: [{ tenantId, version: 1, weight: 1, maxRuns: 1 }] });
    await index.offerRuns([1, 2, 3, 4].map((score) => newRun(tenantId, newId('connection'), score)));
    expect(await admitIds()).toHaveLength(1);
    await index.saveLimits({ tenants: [{ tenantId, version: 3, weight: 1, maxRuns: 3 }] });
    await index.saveLimits({ tenants: [{ tenantId, version: 2, weight: 1, maxRuns: 9 }] });
    expect(await admitIds()).toHaveLength(2);
  });

  test('gets places back that were freed while the facts of runs were lost', async () => {
    await fill();
    const tenantId = newId('tenant');
    await index.saveLimits({ tenants: [{ tenantId, version: 1, weight: 1, maxRuns: 2 }] });
    const runs = [1, 2, 3, 4].map((score) => newRun(tenantId, newId('connection'), score));
    await index.offerRuns(runs);
    expect(await admitIds()).toEqual(idsOf(runs.slice(0, 2)));
    await room.redis.del(room.key('runs'));
    await index.releaseRuns([runs[0]!.runId]);
    expect(await admitIds()).toEqual([]);
    expect(await sweepAndAdmit(runs.slice(2))).toEqual([runs[2]!.runId]);
  });
});

describe('a connection at its cap', () => {
  test('has what a new row has, and its runs hide nothing behind them', async () => {
    await fill();
    const { rows } = await room.pool.query(
      `select column_default::int as cap from information_schema.columns
       where table_schema = 'penstock' and table_name = 'connection' and column_name = 'max_runs'`,
    );
    const [tenant, busy] = [newId('tenant'), newId('connection')];
    const runs = newRuns(tenant, busy, 8);
    const behind = newRun(tenant, newId('connection'), 99);
    await index.offerRuns([...runs, behind]);
    expect(await admitIds()).toEqual([...idsOf(runs.slice(0, rows[0].cap)), behind.runId]);
    expect(await parkedOf(busy)).toEqual(idsOf(runs.slice(rows[0].cap)));
  });

  /** Two places, taken; five wait. */
  async function fullConnection() {
    await fill();
    const connectionId = newId('connection');
    await limitConnection({ connectionId, maxRuns: 2 });
    const runs = newRuns(newId('tenant'), connectionId, 7);
    await index.offerRuns(runs);
    const { tickets } = await admit();
    expect(idsOf(tickets)).toEqual(idsOf(runs.slice(0, 2)));
    return { connectionId, runs, tickets };
  }

  test('takes the least of those that wait when a run ends', async () => {
    const { runs, connectionId } = await fullConnection();
    await index.releaseRuns([runs[1]!.runId]);
    expect(await parkedOf(connectionId)).toEqual(idsOf(runs.slice(3)));
    expect(await admitIds()).toEqual([runs[2]!.runId]);
  });

  test('takes the next when a ticket is returned, and when a place is freed that no row vouches for', async () => {
    const { runs, tickets } = await fullConnection();
    await index.returnTickets([{ ...tickets[0]!, next: 'drop' }]);
    expect(await admitIds()).toEqual([runs[2]!.runId]);
    await index.confirmStarts([tickets[1]!]);
    await index.freePlaces([runs[1]!.runId]);
    expect(await admitIds()).toEqual([runs[3]!.runId]);
  });

  test('takes the next when the one that was let go is cancelled meanwhile', async () => {
    const { runs } = await fullConnection();
    await index.releaseRuns([runs[0]!.runId]);
    await index.releaseRuns([runs[2]!.runId]);
    expect(await admitIds()).toEqual([runs[3]!.runId]);
  });

  test('is left by a run that is cancelled while it waits', async () => {
    const { runs, connectionId } = await fullConnection();
    await index.releaseRuns([runs[2]!.runId]);
    expect(await parkedOf(connectionId)).toEqual(idsOf(runs.slice(3)));
    expect(await admitIds()).toEqual([]);
  });

  test('takes as many as a changed cap lets it, at once', async () => {
    const { runs, connectionId } = await fullConnection();
    await limitConnection({ connectionId, version: 3, maxRuns: 4 });
    await limitConnection({ connectionId, version: 2, maxRuns: 100 });
    expect(await admitIds()).toEqual(idsOf(runs.slice(2, 4)));
  });

  test('keeps those that are offered again, with their new score', async () => {
    const { runs, connectionId } = await fullConnection();
    await index.offerRuns([{ ...runs[6]!, score: -1 }, runs[2]!]);
    expect((await parkedOf(connectionId))[0]).toBe(runs[6]!.runId);
    expect(await admitIds()).toEqual([]);
  });

  test('is seen by the sweep when what should have let its runs go was lost', async () => {
    const { runs, connectionId } = await fullConnection();
    const places = ['global', `tenant:${runs[0]!.tenantId}`, `connection:${connectionId}`];
    for (const name of places) await room.redis.srem(room.key(`active:${name}`), runs[0]!.runId);
    expect(await admitIds()).toEqual([]);
    await index.unparkRuns();
    expect(await admitIds()).toEqual([runs[2]!.runId]);
  });

  test('gets places back that were freed while the facts of runs were lost', async () => {
    const { runs } = await fullConnection();
    await room.redis.del(room.key('runs'));
    await index.releaseRuns([runs[0]!.runId]);
    expect(await admitIds()).toEqual([]);
    expect(await sweepAndAdmit(runs.slice(2))).toEqual([runs[2]!.runId]);
  });

  test('with 1,500 in a row is passed in two calls, because Redis serves nobody else meanwhile', async () => {
    await fill();
    const [tenantId, connectionId] = [newId('tenant'), newId('connection')];
    await limitConnection({ connectionId, maxRuns: 1 });
    const behind = newRun(tenantId, newId('connection'), 9_999);
    await index.offerRuns([...newRuns(tenantId, connectionId, 1_500), behind]);
    expect(await admit()).toMatchObject({ tickets: [expect.anything()], isMore: true });
    const second = await admit();
    expect([idsOf(second.tickets), second.isMore]).toEqual([[behind.runId], false]);
  });
});

describe('runs that wait for a time', () => {
  test('a start rate keeps starts apart, hides nothing, and says when the next may start', async () => {
    await fill();
    const [tenantId, connectionId] = [newId('tenant'), newId('connection')];
    await limitConnection({ connectionId, startGapMs: 300 });
    const behind = newRun(tenantId, newId('connection'), 99);
    const runs = newRuns(tenantId, connectionId, 3);
    await index.offerRuns([...runs, behind]);
    const first = await admit();
    expect(idsOf(first.tickets)).toEqual([runs[0]!.runId, behind.runId]);
    expect(first.nextInMs).toBeLessThanOrEqual(300);
    const starts = [first.tickets[0]!];
    await waitUntil('all have started', async () => {
      starts.push(...(await admit()).tickets);
      return starts.length === 3;
    });
    expect(idsOf(starts)).toEqual(idsOf(runs));
    // a token is when its ticket runs out, by Redis' clock
    expect(starts[1]!.token - starts[0]!.token).toBeGreaterThanOrEqual(300);
    expect(starts[2]!.token - starts[1]!.token).toBeGreaterThanOrEqual(300);
  });

  test('a start rate goes on after a run that was let go and then cancelled', async () => {
    await fill();
    const connectionId = newId('connection');
    await limitConnection({ connectionId, startGapMs: 50 });
    const runs = newRuns(newId('tenant'), connectionId, 3);
    await index.offerRuns(runs);
    expect(await admitIds()).toEqual([runs[0]!.runId]);
    await index.releaseRuns([runs[1]!.runId]);
    await waitUntil('the third starts', async () => (await admitIds()).includes(runs[2]!.runId));
  });

  test('a clock that was set back delays a start by one gap at most', async () => {
    await fill();
    const connectionId = newId('connection');
    await limitConnection({ connectionId, startGapMs: 100 });
    await room.redis.hset(room.key('starts'), connectionId, Date.now() + 3_600_000);
    const [run] = newRuns(newId('tenant'), connectionId, 1);
    await index.offerRuns([run!]);
    expect((await admit()).nextInMs).toBeLessThanOrEqual(100);
  });

  test('a source that cools down gets no run until then', async () => {
    await fill();
    const connectionId = newId('connection');
    await limitConnection({ connectionId, coolMs: 3_600_000 });
    const runs = newRuns(newId('tenant'), connectionId, 2);
    await index.offerRuns(runs);
    const { tickets, nextInMs } = await admit();
    expect(tickets).toEqual([]);
    expect(nextInMs).toBeGreaterThan(0);
    await limitConnection({ connectionId, version: 3, coolMs: 200 });
    await waitUntil('it has cooled down', async () => (await admitIds()).length === 2);
  });

  test('a cool-down that is ended lets them go at once', async () => {
    await fill();
    const connectionId = newId('connection');
    await limitConnection({ connectionId, coolMs: 3_600_000 });
    await index.offerRuns(newRuns(newId('tenant'), connectionId, 2));
    expect(await admitIds()).toEqual([]);
    await limitConnection({ connectionId, version: 3 });
    expect(await admitIds()).toHaveLength(2);
  });

  test('a ticket that is returned for later frees its place, and its run comes back then', async () => {
    await fill();
    const [run] = newRuns(newId('tenant'), newId('connection'), 1);
    await index.offerRuns([run!]);
    const { tickets } = await admit();
    await index.returnTickets([{ ...tickets[0]!, next: 3_600_000 }]);
    expect(await index.fetchPlaces()).toEqual([]);
    await index.offerRuns([run!]);
    const { tickets: none, nextInMs } = await admit();
    expect([none, nextInMs! > 3_500_000, nextInMs! <= 3_600_000]).toEqual([[], true, true]);
    await room.redis.zincrby(room.key('later'), -3_600_000, run!.runId);
    expect(await admitIds()).toEqual([run!.runId]);
  });
});

/** What the index holds, read at rest. */
async function readIndex(tenants: readonly TenantId[], connections: readonly ConnectionId[]) {
  const members = async (name: string) => (await room.redis.zrange(room.key(name), '0', '-1')) as RunId[];
  const held = async (name: string) => (await room.redis.smembers(room.key(`active:${name}`))) as RunId[];
  return {
    ready: await Promise.all(tenants.map((id) => members(`ready:${id}`))),
    parked: await Promise.all(connections.map((id) => members(`parked:${id}`))),
    active: await held('global'),
    ofTenant: await Promise.all(tenants.map((id) => held(`tenant:${id}`))),
    ofConnection: await Promise.all(connections.map((id) => held(`connection:${id}`))),
    parking: await room.redis.smembers(room.key('parking')),
  };
}

test('whatever comes, ends and changes: places keep to every cap, and nobody waits where there is room', async () => {
  const step = fc.record({
    what: fc.constantFrom(
      'offer',
      'offer',
      'offer',
      'admit',
      'end',
      'drop',
      'wait',
      'cancel',
      'tenant',
      'connection',
    ),
    n: fc.nat(5),
    to: fc.integer({ min: 1, max: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      await room.redis.flushdb();
      await fill();
      const tenants = [newId('tenant'), newId('tenant')];
      const connections = [newId('connection'), newId('connection'), newId('connection')];
      const [tenantCaps, connectionCaps] = [
        [10, 10],
        [4, 4, 4],
      ];
      const waiting = new Map<RunId, RunOffer>();
      const atWork = new Map<RunId, Ticket>();
      let version = 1;
      const settle = async (): Promise<void> => {
        for (const { runId, token } of (await admit()).tickets) {
          waiting.delete(runId);
          atWork.set(runId, { runId, token });
        }
      };
      for (const { what, n, to } of steps) {
        const [tenantId, connectionId] = [tenants[n % 2]!, connections[n % 3]!];
        const runId = [...(what === 'cancel' ? waiting : atWork).keys()][n];
        version += 1;
        if (what === 'offer')
          for (const run of newRuns(tenantId, connectionId, to)) {
            waiting.set(run.runId, run);
            await index.offerRuns([run]);
          }
        else if (what === 'tenant') {
          tenantCaps[n % 2] = to;
          await index.saveLimits({ tenants: [{ tenantId, version, weight: 1, maxRuns: to }] });
        } else if (what === 'connection') {
          connectionCaps[n % 3] = to;
          await limitConnection({ connectionId, version, maxRuns: to });
        } else if (runId && what === 'cancel') {
          waiting.delete(runId);
          await index.releaseRuns([runId]);
        } else if (runId && what === 'end') {
          atWork.delete(runId);
          await index.releaseRuns([runId]);
        } else if (runId && what === 'drop') {
          await index.returnTickets([{ ...atWork.get(runId)!, next: 'drop' }]);
          atWork.delete(runId);
        } else if (what === 'admit') await settle();
      }
      const before = await readIndex(tenants, connections);
      await settle();
      const after = await readIndex(tenants, connections);
      expect(new Set(after.active)).toEqual(new Set(atWork.keys()));
      expect(new Set([...after.ready, ...after.parked].flat())).toEqual(new Set(waiting.keys()));
      expect([...after.ready, ...after.parked].flat()).toHaveLength(waiting.size);
      for (const [t, cap] of tenantCaps.entries()) {
        // a cap that was lowered ends nothing; nothing is added to it
        expect(after.ofTenant[t]!.length).toBeLessThanOrEqual(Math.max(cap, before.ofTenant[t]!.length));
        if (after.ready[t]!.length > 0) expect(after.ofTenant[t]!.length).toBeGreaterThanOrEqual(cap);
      }
      for (const [c, cap] of connectionCaps.entries()) {
        expect(after.ofConnection[c]!.length).toBeLessThanOrEqual(
          Math.max(cap, before.ofConnection[c]!.length),
        );
        expect([c, after.parking.includes(connections[c]!)]).toEqual([c, after.parked[c]!.length > 0]);
        const letGo = after.ready.flat().filter((id) => waiting.get(id)!.connectionId === connections[c]);
        if (after.parked[c]!.length > 0)
          expect(after.ofConnection[c]!.length + letGo.length).toBeGreaterThanOrEqual(cap);
      }
    }),
    { numRuns: 60 },
  );
});
