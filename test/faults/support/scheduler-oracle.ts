/**
 * What must be true of a scheduler that has come to rest, whatever has happened to it: every due time of every sync is
 * accounted for once, as its pauses say; every run is final, and started once if it worked; and the index holds nothing of
 * what is over.
 */
import { expect } from '@jest/globals';
import { operationNames } from './slow-dispatcher.ts';
import {
  advance,
  countOpen,
  dueTimesOf,
  endMs,
  resume,
  type KnownSync,
  type SchedulerWorld,
} from './scheduler-world.ts';
import { expectOnTheWay } from './scheduler-watch.ts';

/** All servers are back, and the dispatchers do their work in turn. */
export async function comeToRest(world: SchedulerWorld): Promise<void> {
  Object.assign(world, { isRedisAway: false, isNewsLost: false });
  world.starter.setReachable(true);
  await world.clocks.skewRedis(0);
  for (const of of new Set(world.pauses.filter((each) => each.untilMs === null).map((each) => each.of)))
    await resume(world, of);
  for (const dispatcher of world.dispatchers) await dispatcher.finish();
  for (let n = 0; n < 4; n += 1) await doAll(world, 31_000);
  await expectLooked(world);
  world.areCapsSoft = false;
  await advance(world, Math.max(0, endMs + 60_000 - world.clocks.nowMs()));
  for (let n = 0; n < 4 || (await countOpen(world)) > 0; n += 1) {
    if (n === 100) throw new Error(`${await countOpen(world)} runs never end`);
    await doAll(world, 31_000);
    await expectOnTheWay(world);
  }
}

async function doAll(world: SchedulerWorld, ms: number): Promise<void> {
  await advance(world, ms);
  for (const name of operationNames) for (const dispatcher of world.dispatchers) await dispatcher.does(name);
  for (const run of [...world.open(), ...world.open()]) await world.work(run, true);
}

/** No sync is forgotten: what was due a minute ago has been settled. */
async function expectLooked({ database, clocks }: SchedulerWorld): Promise<void> {
  const { rows } = await database.pool.query<{ id: string }>(
    'select id from penstock.sync where next_due_at < to_timestamp($1::float8 / 1000)',
    [clocks.nowMs() - 60_000],
  );
  expect(rows).toEqual([]);
}

export async function expectRest(world: SchedulerWorld): Promise<void> {
  for (const { errors } of world.dispatchers) expect(errors).toEqual([]);
  expect(world.lines.filter((line) => line.includes('cannot be s'))).toEqual([]);
  for (const sync of world.syncs) await expectSlots(world, sync);
  await expectRuns(world);
  await expectIndex(world);
}

interface SlotRow {
  readonly fromMs: number;
  readonly toMs: number;
  readonly outcome: string | null;
  readonly isRun: boolean;
}

/** Each due time is in one slot, and is skipped by a pause exactly if one covers it. */
async function expectSlots({ database, pauses }: SchedulerWorld, sync: KnownSync): Promise<void> {
  const { rows } = await database.pool.query<SlotRow>(
    `select (extract(epoch from nominal_at) * 1000)::float8 as "fromMs",
       (extract(epoch from nominal_to) * 1000)::float8 as "toMs", outcome, run_id is not null as "isRun"
     from penstock.slot where sync_id = $1 order by nominal_at`,
    [sync.id],
  );
  const due = sync.eras.flatMap(dueTimesOf);
  const rowsAt = (ms: number): SlotRow[] => rows.filter((row) => row.fromMs <= ms && ms <= row.toMs);
  const covered = (ms: number): boolean =>
    pauses.some(
      ({ of, fromMs, untilMs }) =>
        (of === sync.id || of === sync.scope.tenantId) && fromMs <= ms && ms < (untilMs ?? Infinity),
    );
  const iso = (ms: number): string => new Date(ms).toISOString();
  expect(due.filter((ms) => rowsAt(ms).length !== 1).map(iso)).toEqual([]);
  expect(rows.filter(({ fromMs, toMs }) => !due.includes(fromMs) || !due.includes(toMs))).toEqual([]);
  const isSkipped = (ms: number): boolean => rowsAt(ms)[0]?.outcome === 'skipped_paused';
  expect(due.filter((ms) => isSkipped(ms) !== covered(ms)).map(iso)).toEqual([]);
}

/** A due time has one run at most; what has worked was started, once; what was started is of a run. */
async function expectRuns({ database, starter }: SchedulerWorld): Promise<void> {
  const { rows } = await database.pool.query<{ id: string; status: string; slot: string | null }>(
    `select id, status, sync_id || ' ' || nominal_at as slot from penstock.run`,
  );
  const slots = rows.flatMap((row) => row.slot ?? []);
  expect(new Set(slots).size).toBe(slots.length);
  const started = starter.started.map((run) => run.runId as string);
  expect(new Set(started).size).toBe(started.length);
  expect(rows.filter((row) => row.status === 'succeeded' && !started.includes(row.id))).toEqual([]);
  expect(started.filter((id) => !rows.some((row) => row.id === id))).toEqual([]);
}

/** No place, ticket or waiting run is left, nor what was known of one. */
async function expectIndex({ redis, key, hasOrphans }: SchedulerWorld): Promise<void> {
  const lasting = ['admission', 'filled', 'limits', 'starts', 'virtual', 'versions:'];
  if (hasOrphans) lasting.push('runs', 'active:tenant:', 'active:connection:');
  const keys = (await redis.keys(key('*'))).map((each) => each.slice(key('').length));
  expect(keys.filter((name) => !lasting.some((each) => name.startsWith(each)))).toEqual([]);
}
