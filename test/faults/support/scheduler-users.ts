/** What users do to a scheduler: each is one change of the rows, of which the index may not hear. */
import * as fc from 'fast-check';
import type { RunId, TenantId } from '../../../src/domain/ids.ts';
import type { SyncSpecInput } from '../../../src/domain/sync-spec.ts';
import { planTrigger, type TriggerInput } from '../../../src/domain/trigger.ts';
import { command, syncsThere, which, withSync, type Act, type Shares } from './scheduler-command.ts';
import { startMs } from './scheduler-ground.ts';
import { boundTenants } from './scheduler-tenants.ts';
import { countOpen, endMs, resume, specOf, type KnownSync, type SchedulerWorld } from './scheduler-world.ts';

const endAt = new Date(endMs - 137).toISOString();
const inMinutes = (minutes: number): string => new Date(startMs - 137 + minutes * 60_000).toISOString();

const schedules = fc.constantFrom<NonNullable<SyncSpecInput['schedule']>>(
  { every: '1m', endAt },
  { every: '5m', endAt },
  { cron: '*/2 * * * *', timezone: 'UTC', endAt },
  { every: '20m', endAt },
  { at: inMinutes(3) },
  { at: inMinutes(20) },
);
const specs: fc.Arbitrary<Partial<SyncSpecInput>> = fc.record({
  schedule: schedules,
  priority: fc.integer({ min: 1, max: 5 }),
  overlap: fc.constantFrom('skip', 'buffer_one', 'cancel_other'),
  catchUp: fc.constantFrom({}, { window: '3m' }),
});

interface NewSync {
  readonly tenant: number;
  readonly spec: Partial<SyncSpecInput>;
}
const newSync: fc.Arbitrary<NewSync> = fc.record({
  tenant: fc.nat(boundTenants.length - 1),
  spec: specs,
});

/** The syncs that are there at the beginning: most are of one tenant, so that what bounds it is felt. */
export const firstSyncs = fc
  .tuple(fc.nat(boundTenants.length - 1), fc.array(newSync, { minLength: 5, maxLength: 8 }))
  .map(([crowd, syncs]) => syncs.map((sync, n) => (n % 3 < 2 ? { ...sync, tenant: crowd } : sync)));
const mostSyncs = 10;

/** A user makes a sync; the index may not hear of it. */
export async function createSync(
  { syncs, store, tenants, clocks }: SchedulerWorld,
  { tenant, spec }: NewSync,
): Promise<void> {
  const scope = tenants[tenant]!;
  const { id } = await store.syncs.create(scope, specOf(`s-${syncs.length}`, spec));
  const era = { schedule: spec.schedule!, fromMs: clocks.nowMs(), untilMs: null };
  syncs.push({ id, scope, isDeleted: false, eras: [era] });
}

const create = newSync.map((given) =>
  command(`create ${JSON.stringify(given)}`, async (world) => {
    if (world.syncs.length < mostSyncs) await createSync(world, given);
  }),
);

/** Its due times from now on are those of the new schedule. */
async function editSync(
  { id, scope, eras }: KnownSync,
  { store, clocks, syncs }: SchedulerWorld,
  spec: Partial<SyncSpecInput>,
): Promise<void> {
  const name = `s-${syncs.findIndex((sync) => sync.id === id)}`;
  const before = await store.syncs.fetch(scope, id);
  const { version } = await store.syncs.replace(scope, id, specOf(name, spec), undefined);
  if (version === before.version) return;
  eras.at(-1)!.untilMs = clocks.nowMs();
  eras.push({ schedule: spec.schedule!, fromMs: clocks.nowMs(), untilMs: null });
}

const edit = fc.tuple(which, specs).map(([n, spec]) =>
  command(
    `edit sync ${n} ${JSON.stringify(spec)}`,
    withSync(n, (sync, world) => editSync(sync, world, spec)),
  ),
);

/** As definitions that are kept in a repository are deployed. */
export const editAll = fc.constantFrom('1m', '20m').map((every) =>
  command(`edit each sync, every ${every}`, async (world) => {
    for (const sync of syncsThere(world)) await editSync(sync, world, { schedule: { every, endAt } });
  }),
);

const pause = which.map((n) =>
  command(
    `pause sync ${n}`,
    withSync(n, async ({ id, scope }, { store, pauses, clocks }) => {
      await store.syncs.pause(scope, id, { reason: null, until: null });
      if (!pauses.some((each) => each.of === id && each.untilMs === null))
        pauses.push({ of: id, fromMs: clocks.nowMs(), untilMs: null });
    }),
  ),
);

const pauseTenant = fc.nat(boundTenants.length - 1).map((n) =>
  command(`pause tenant ${n}`, async ({ store, tenants, pauses, clocks }) => {
    const tenant = tenants[n]!;
    await store.pauses.pause({ ...tenant, tenantId: null }, tenant.tenantId, { reason: null, until: null });
    if (!pauses.some((each) => each.of === tenant.tenantId && each.untilMs === null))
      pauses.push({ of: tenant.tenantId, fromMs: clocks.nowMs(), untilMs: null });
  }),
);

const resumeOne = which.map((n) =>
  command(`resume what is paused (${n})`, async (world) => {
    const open = world.pauses.filter((each) => each.untilMs === null);
    if (open.length > 0) await resume(world, open[n % open.length]!.of);
  }),
);

const remove = which.map((n) =>
  command(
    `delete sync ${n}`,
    withSync(n, async (sync, { store, clocks }) => {
      await store.syncs.delete(sync.scope, sync.id, undefined);
      sync.isDeleted = true;
      sync.eras.at(-1)!.untilMs = clocks.nowMs();
    }),
  ),
);

const trigger = ({ id, scope }: KnownSync, { store }: SchedulerWorld, when: TriggerInput): Promise<unknown> =>
  store.runs.trigger(scope, id, { requestKey: undefined, priority: undefined, plan: planTrigger(when) });

const triggerOne = fc.tuple(which, fc.constantFrom('0s', '30s', '4m')).map(([n, after]) =>
  command(
    `trigger sync ${n} in ${after}`,
    withSync(n, (sync, world) => trigger(sync, world, { in: after })),
  ),
);

/** Of open runs: a story that has more of them says no more than one that has these, and takes longer. */
const mostOpen = 15;

/** More than there is room for, and all of it at once. */
const triggerAll = fc.constantFrom(0, 10_000, 60_000).map((inMs) =>
  command(`trigger each sync, due in ${inMs / 1000} s`, async (world) => {
    const at = new Date(world.clocks.nowMs() + inMs).toISOString();
    const there = syncsThere(world);
    if (there.length + (await countOpen(world)) > mostOpen) return;
    for (const sync of there) await trigger(sync, world, { at });
  }),
);

/** A run that waits, for its time or for a place, and whose it is. */
const withQueued =
  (
    n: number,
    act: (run: { id: RunId; tenantId: TenantId }, world: SchedulerWorld) => Promise<unknown>,
  ): Act =>
  async (world) => {
    const { rows } = await world.database.pool.query<{ id: RunId; tenantId: TenantId }>(
      `select id, tenant_id as "tenantId" from penstock.run where status = 'queued' order by queued_at, id`,
    );
    const run = rows[n % rows.length];
    if (run) await act(run, world);
  };
const scopeOf = ({ tenants }: SchedulerWorld, tenantId: TenantId) =>
  tenants.find((tenant) => tenant.tenantId === tenantId)!;

/** It is offered with its new score, also one whose time has not come. */
const prefer = fc.tuple(which, fc.integer({ min: 1, max: 5 })).map(([n, priority]) =>
  command(
    `queued run ${n} gets priority ${priority}`,
    withQueued(n, ({ id, tenantId }, world) =>
      world.store.runs.setPriority(scopeOf(world, tenantId), id, priority),
    ),
  ),
);

const cancel = which.map((n) =>
  command(
    `queued run ${n} is cancelled`,
    withQueued(n, ({ id, tenantId }, world) => world.store.runs.cancel(scopeOf(world, tenantId), id)),
  ),
);

/** Users, by how often each of them acts. */
export const userShares: Shares = [
  ...[create, pause, remove, pauseTenant, cancel, editAll].map((user) => [1, user] as const),
  ...[edit, resumeOne, triggerOne, prefer].map((user) => [2, user] as const),
  [3, triggerAll],
];
