/**
 * What must be true of a scheduler at every moment, whatever has happened: the rows let nobody start who may not, and caps hold until
 * Redis has lost something; where nothing is ever lost the index looks at no sync later than its rows say, and without an
 * index each sweep starts what there is room for.
 */
import { expect } from '@jest/globals';
import type { RunId } from '../../../src/domain/ids.ts';
import { createScheduleStore } from '../../../src/storage/schedule-store.ts';
import { asEngine, type Tx } from '../../../src/storage/transaction.ts';
import type { ControlDatabase } from '../../support/control-database.ts';
import { boundTenants, globalCap } from './scheduler-tenants.ts';
import type { SchedulerWorld } from './scheduler-world.ts';

type Store = ReturnType<typeof createScheduleStore>;

const claimLeaseMs = 30_000;

/** The store, which tells of each run that it lets start against invariant 10. */
export function watchStore({ pool }: ControlDatabase, wrongs: string[]): Store {
  const store = createScheduleStore(pool);
  return {
    ...store,
    async startRuns(runIds, served) {
      const wasQueued = new Set(await asEngine(pool, (tx) => fetchQueued(tx, runIds)));
      const verdicts = await store.startRuns(runIds, served);
      const let_ = verdicts.filter(({ verdict }) => verdict === 'start').map(({ runId }) => runId);
      for (const { runId, status, ...isWrong } of await asEngine(pool, (tx) => fetchStarting(tx, let_))) {
        if (status !== 'starting') wrongs.push(`the rows let ${runId} start, which is ${status}`);
        for (const [what, isTrue] of Object.entries(isWrong))
          if (isTrue && wasQueued.has(runId)) wrongs.push(`the rows let ${runId} start, which is ${what}`);
      }
      return verdicts;
    },
  };
}

async function fetchQueued(tx: Tx, runIds: readonly RunId[]): Promise<RunId[]> {
  const { rows } = await tx.query<{ id: RunId }>(
    `select id from penstock.run where id = any($1) and status = 'queued'`,
    [runIds],
  );
  return rows.map(({ id }) => id);
}

const isPaused = `exists (select from penstock.pause p
  where (p.sync_id = r.sync_id or p.sync_id is null and p.tenant_id = r.tenant_id)
    and p.from_at <= clock_timestamp() and (p.until_at is null or p.until_at > clock_timestamp()))`;
const atWork = `('starting', 'running', 'pausing', 'cancelling')`;

interface Starting {
  readonly runId: RunId;
  readonly status: string;
  readonly early: boolean;
  readonly late: boolean;
  readonly paused: boolean;
  readonly second: boolean;
}

async function fetchStarting(tx: Tx, runIds: readonly RunId[]): Promise<Starting[]> {
  const { rows } = await tx.query<Starting>(
    `select r.id as "runId", r.status, r.due_at > clock_timestamp() as early,
       coalesce(r.start_before < clock_timestamp(), false) as late, ${isPaused} as paused,
       exists (select from penstock.run o where o.sync_id = r.sync_id and o.id <> r.id and o.status in ${atWork}) as second
     from penstock.run r where r.id = any($1)`,
    [runIds],
  );
  return rows;
}

/** After each thing that happens. */
export async function expectOnTheWay(world: SchedulerWorld): Promise<void> {
  expect(world.wrongs).toEqual([]);
  if (!world.areCapsSoft) await expectCaps(world);
  if (world.isCalm) await expectLooks(world);
}

const placesOf = async ({ database, tenants }: SchedulerWorld): Promise<number[]> => {
  const { rows } = await database.pool.query<{ tenantId: string; n: number }>(
    `select tenant_id as "tenantId", count(*)::int as n from penstock.run where status in ${atWork} group by 1`,
  );
  return tenants.map(({ tenantId }) => rows.find((row) => row.tenantId === tenantId)?.n ?? 0);
};
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

async function expectCaps(world: SchedulerWorld): Promise<void> {
  const held = await placesOf(world);
  expect(boundTenants.filter(({ cap }, n) => held[n]! > cap)).toEqual([]);
  expect(Math.max(sum(held), globalCap)).toBe(globalCap);
}

/** Invariants 1 and 2: each sync with a next time is in the index, and a claim puts its look off by a lease at most. */
async function expectLooks({ database, redis, key, clocks }: SchedulerWorld): Promise<void> {
  const { rows } = await database.pool.query<{ id: string; dueMs: number }>(
    `select id, (extract(epoch from next_due_at) * 1000)::float8 as "dueMs" from penstock.sync where next_due_at is not null`,
  );
  const scores = await Promise.all(rows.map(({ id }) => redis.zscore(key('due'), id)));
  const latest = (dueMs: number): number => Math.max(dueMs, clocks.nowMs() + claimLeaseMs);
  const late = rows.filter(({ dueMs }, n) => scores[n] === null || Number(scores[n]) > latest(dueMs));
  expect(late.map(({ id }) => `${id} is looked at too late`)).toEqual([]);
}

/** Right after a sweep without the index: nobody waits where there is room. */
export async function expectNobodyIdle(world: SchedulerWorld): Promise<void> {
  const held = await placesOf(world);
  const { rows } = await world.database.pool.query<{ id: string; tenantId: string }>(
    `select r.id, r.tenant_id as "tenantId" from penstock.run r
     where r.status = 'queued' and r.due_at <= clock_timestamp() and not ${isPaused}
       and not exists (select from penstock.run o where o.sync_id = r.sync_id and o.status in ${atWork})`,
  );
  const hasRoom = ({ tenantId }: { tenantId: string }): boolean => {
    const n = world.tenants.findIndex((tenant) => tenant.tenantId === tenantId);
    const { cap, connection } = boundTenants[n]!;
    return sum(held) < globalCap && held[n]! < cap && connection.startsPerMinute === undefined;
  };
  expect(rows.filter(hasRoom)).toEqual([]);
}
