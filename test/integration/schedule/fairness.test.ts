/** Invariant 5: while tenants wait, their starts are as their weights; an idle one saves up nothing. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { newId, runIdOf, type RunId, type TenantId } from '../../../src/domain/ids.ts';
import type { RunOffer } from '../../../src/ports/schedule-index.ts';
import type { RedisIndex } from '../../../src/schedule/redis-index.ts';
import { createSchedulerRoom, lastingLeases, type SchedulerRoom } from '../../support/scheduler-room.ts';

let room: SchedulerRoom;
let index: RedisIndex;
beforeAll(async () => {
  room = await createSchedulerRoom();
  index = await room.openIndex(lastingLeases);
});
afterEach(() => room.redis.flushdb());
afterAll(() => room.close());

let count = 0;
const tenantOf = new Map<RunId, TenantId>();
const newRuns = (tenantId: TenantId, howMany: number): RunOffer[] =>
  Array.from({ length: howMany }, (_, score) => {
    const syncId = newId('sync');
    const runId = runIdOf(syncId, 'manual', String((count += 1)));
    tenantOf.set(runId, tenantId);
    return { runId, tenantId, syncId, connectionId: newId('connection'), score };
  });
/** A tenant whose share alone bounds it. */
async function newTenant(weight = 1): Promise<TenantId> {
  const tenantId = newId('tenant');
  await setWeight(tenantId, weight);
  return tenantId;
}
const setWeight = (tenantId: TenantId, weight: number, version = 1) =>
  index.saveLimits({ tenants: [{ tenantId, version, weight, maxRuns: 100_000 }] });
const fill = async (): Promise<void> => {
  await index.beginRefill('t', { again: false });
  await index.advanceRefill('t', 'all');
};
/** Whose runs start next, in order; each ends at once. */
async function startNext(howMany: number): Promise<TenantId[]> {
  const tenants: TenantId[] = [];
  while (tenants.length < howMany) {
    const { tickets } = await index.admit({ limit: Math.min(100, howMany - tenants.length), cap: 1_000 });
    if (tickets.length === 0) break;
    const runIds = tickets.map((ticket) => ticket.runId);
    await index.releaseRuns(runIds);
    tenants.push(...runIds.map((runId) => tenantOf.get(runId)!));
  }
  return tenants;
}
const countOf = (tenants: readonly TenantId[], wanted: TenantId): number =>
  tenants.filter((tenant) => tenant === wanted).length;

test('a tenant with 10,000 due delays each of 99 others by one start a round, and no more', async () => {
  await fill();
  const crowd = await newTenant();
  await index.offerRuns(newRuns(crowd, 10_000));
  await startNext(50);
  const others = await Promise.all(Array.from({ length: 99 }, () => newTenant()));
  await index.offerRuns(others.flatMap((tenant) => newRuns(tenant, 10)));
  const started = await startNext(1_001);
  for (const tenant of others) {
    let nth = 0;
    // the crowd may be one start ahead of a round
    for (const [position, each] of started.entries())
      if (each === tenant) expect(position).toBeLessThanOrEqual((nth += 1) * 100);
    expect(nth).toBe(10);
  }
  expect(await startNext(10)).toEqual(Array<TenantId>(10).fill(crowd));
});

test('weights of 1 to 3 give 1 to 3, and a weight that is changed holds for the next start', async () => {
  await fill();
  const [light, heavy] = [await newTenant(), await newTenant(3)];
  await index.offerRuns([...newRuns(light, 500), ...newRuns(heavy, 500)]);
  expect(countOf(await startNext(400), heavy)).toBe(300);
  await setWeight(heavy, 1, 2);
  await setWeight(heavy, 3, 1);
  expect(Math.abs(countOf(await startNext(100), heavy) - 50)).toBeLessThanOrEqual(1);
});

test('an idle tenant earns no credit', async () => {
  await fill();
  const [busy, idle] = [await newTenant(), await newTenant()];
  await index.offerRuns([...newRuns(busy, 400), ...newRuns(idle, 1)]);
  await startNext(300);
  await index.offerRuns(newRuns(idle, 100));
  expect(Math.abs(countOf(await startNext(60), idle) - 30)).toBeLessThanOrEqual(1);
});

/**
 * The bound of start-time fair queueing: over any stretch in which two tenants wait, what each got by its weight differs
 * by at most one start of each.
 */
test('whatever comes and goes, two tenants that wait get the same by their weights, but for one start each', async () => {
  const arrival = fc.record({ tenant: fc.nat(3), runs: fc.integer({ min: 0, max: 12 }), starts: fc.nat(15) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 4, maxLength: 4 }),
      fc.array(arrival, { minLength: 5, maxLength: 12 }),
      async (weights, arrivals) => {
        await room.redis.flushdb();
        await fill();
        const tenants = await Promise.all(weights.map((weight) => newTenant(weight)));
        const waiting = weights.map(() => 0);
        const served = weights.map(() => 0);
        const pairs = weights.flatMap((_, a) => weights.slice(0, a).map((__, b) => watchLead(a, b)));
        const look = (): void => pairs.forEach((pair) => pair({ waiting, served, weights }));
        for (const { tenant, runs, starts } of arrivals) {
          await index.offerRuns(newRuns(tenants[tenant]!, runs));
          waiting[tenant]! += runs;
          look();
          for (const started of await startNext(starts)) {
            const n = tenants.indexOf(started);
            waiting[n]! -= 1;
            served[n]! += 1 / weights[n]!;
            look();
          }
        }
      },
    ),
    { numRuns: 25 },
  );
});

type Now = Record<'waiting' | 'served' | 'weights', readonly number[]>;

/** Watches how far one of two tenants is ahead of the other, for as long as both wait. */
function watchLead(a: number, b: number): (now: Now) => void {
  let [least, most] = [Infinity, -Infinity];
  return ({ waiting, served, weights }) => {
    const lead = served[a]! - served[b]!;
    [least, most] = [Math.min(least, lead), Math.max(most, lead)];
    expect(most - least).toBeLessThanOrEqual(1 / weights[a]! + 1 / weights[b]! + 1e-9);
    // the start that emptied one still counts; what follows does not
    if (waiting[a] === 0 || waiting[b] === 0) [least, most] = [Infinity, -Infinity];
  };
}
