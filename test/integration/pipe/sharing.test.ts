/** Who may write a table beside whom: judged by the plan, claimed by the run, given up by the sync that moves or goes. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { planSync } from '../../../src/copy/plan-sync.ts';
import { newId } from '../../../src/domain/ids.ts';
import type { SyncSpec } from '../../../src/domain/sync-spec.ts';
import type { TargetScope } from '../../../src/domain/target-scope-spec.ts';
import { createPipeRoom, type PipeRoom, type SyncInput, type TestSync } from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query(`create table people (id integer primary key, name text);
    insert into people select i, 'name ' || i from generate_series(1, 40) as i`);
});
afterAll(() => room.close());
beforeEach(() => room.to.query('drop table if exists target, added, part, unlogged cascade'));

const syncOf = (tenant: string, over: Partial<SyncInput> = {}): TestSync =>
  room.sync({ query: 'select id, name from people', key: ['id'], scope: { tenant }, ...over });
const planOf = ({ id, spec }: TestSync) =>
  planSync({ source: room.source, destination: room.destination }, { sync: id, syncVersion: 1, spec });

const [acme, globex]: TargetScope[] = [{ tenant: 'acme' }, { tenant: 'globex' }];
const cases = [
  [{}, acme!, false] as const,
  [acme!, { ...acme, region: 'eu' }, false] as const,
  [acme!, globex!, true] as const,
].flatMap(([one, other, disjoint]) =>
  (['append', 'mirror'] as const).flatMap((first) =>
    (['append', 'replace'] as const).map((second) => ({ one, other, disjoint, first, second })),
  ),
);

test('who may share a table is judged alike by the plan and by the run: both only add rows, or no row is both’s', async () => {
  const given = (scope: TargetScope) => Object.keys(scope).join();
  for (const { one, other, disjoint, first, second } of cases) {
    await room.to.query('drop table if exists target');
    // Indexes on every key that there is, so that nothing but who owns what is in the way.
    await room.to.query(
      `create table target (tenant text default 'x', region text default 'y', id integer, name text, primary key (id),
           unique (tenant, id), unique (region, id), unique (tenant, region, id))`,
    );
    const sync = (scope: TargetScope, mode: SyncSpec['mode']) => syncOf('acme', { scope, mode });
    await room.prepare(sync(one, first), newId('run'));
    const late = sync(other, second);
    const planned = (await planOf(late)).refusals.map(({ code, pointer }) => `${code} ${pointer}`);
    const isOwned = planned.includes('TARGET_OWNED /destination/table');
    const run = await room.prepare(late, newId('run')).then(
      () => null,
      (error: { code: string }) => error.code,
    );
    const mayShare = disjoint || (first === 'append' && second === 'append');
    const what = `${first} ${given(one)} and ${second} ${given(other)}`;
    expect([what, isOwned, run]).toEqual([what, !mayShare, mayShare ? null : 'TARGET_OWNED']);
  }
});

test('of many that claim a table at once no two have a row in common', async () => {
  await room.to.query('create table target (tenant text, id integer, name text, primary key (tenant, id))');
  const tenants = ['acme', 'globex', 'acme', 'globex', 'acme', 'globex'];
  const ends = tenants.map(() => room.openDestination());
  const answers = await Promise.allSettled(
    tenants.map((tenant, i) =>
      room.prepare(syncOf(tenant, { mode: 'upsert' }), newId('run'), { destination: ends[i]! }),
    ),
  );
  await Promise.all(ends.map((end) => end.close()));
  const claimed = tenants.filter((_, i) => answers[i]!.status === 'fulfilled').toSorted();
  expect(claimed).toEqual(['acme', 'globex']);
  const { rows } = await room.to.query(
    `select scope from _penstock.target where relation = 'target'::regclass order by scope::text`,
  );
  expect(rows).toEqual([{ scope: { tenant: 'acme' } }, { scope: { tenant: 'globex' } }]);
});

test('who owns a table already waits for no claim of another, who takes turns', async () => {
  const owner = syncOf('acme');
  await room.run(owner);
  await room.to.query('begin; lock table _penstock.target in share row exclusive mode');
  const late = room.openDestination();
  const claimed = room.prepare(syncOf('globex'), newId('run'), { destination: late });
  try {
    await waitUntil('the claim waits', async () => {
      const waiting = await room.from.query(
        `select from pg_stat_activity where wait_event_type = 'Lock' and query like 'lock table _penstock.target%' and datname = $1`,
        [room.destinationAccess.database],
      );
      return waiting.rowCount === 1;
    });
    expect(await room.run(owner)).toMatchObject({ read: 40 });
  } finally {
    await room.to.query('commit');
    await claimed;
    await late.close();
  }
});

test.each(['plain', 'partitioned'])(
  'of many owners of a %s table who all need a new column at once one adds it, and all go on',
  async (kind) => {
    const isPartitioned = kind === 'partitioned';
    await room.from.query('create table goods as select 1 as id');
    await room.to.query(
      `create table target (tenant text, id integer) ${isPartitioned ? 'partition by list (tenant)' : ''}`,
    );
    if (isPartitioned) await room.to.query('create table part partition of target default');
    // Any table of the database that is not logged makes the look at the partitions' logging a longer one.
    await room.to.query('create unlogged table unlogged (id integer)');
    const syncs = ['a', 'b', 'c', 'd', 'e', 'f'].map((tenant) =>
      syncOf(tenant, { query: 'select * from goods', onSchemaChange: 'add_columns' }),
    );
    for (const sync of syncs) await room.run(sync);
    await room.from.query('alter table goods add column weight integer');
    // A batch in hand: no column is added before it has ended.
    await room.to.query('begin; lock table target in row exclusive mode');
    const ends = syncs.map(() => room.openDestination());
    const opened = Promise.all(
      syncs.map((sync, i) => room.prepare(sync, newId('run'), { destination: ends[i]! })),
    );
    try {
      await waitUntil('all wait', async () => {
        const waiting = await room.from.query(
          `select from pg_stat_activity where wait_event_type = 'Lock' and datname = $1`,
          [room.destinationAccess.database],
        );
        return waiting.rowCount === syncs.length;
      });
      await room.to.query('commit');
      const changes = (await opened).flatMap(({ schemaChange }) => schemaChange ?? []);
      expect(changes).toEqual([{ added: ['weight'], gone: [] }]);
    } finally {
      await room.from.query('drop table goods');
      await Promise.all(ends.map((end) => end.close()));
    }
  },
);

test('the sync that is in the way is told by its id, not by its scope', async () => {
  const first = syncOf('globex', { mode: 'mirror' });
  await room.run(first);
  const { refusals } = await planOf(
    syncOf('acme', { scope: {}, query: `select 'x' as tenant, id, name from people` }),
  );
  expect(refusals).toMatchObject([{ code: 'TARGET_OWNED', pointer: '/destination/table' }]);
  expect(refusals[0]!.message).toContain(first.id);
  expect(refusals[0]!.message).not.toContain('globex');
});

test('a sync whose scope changes lets go of the rows before, which another may have then', async () => {
  const moving = syncOf('acme', { mode: 'mirror' });
  await room.run(moving);
  const taking = syncOf('acme', { mode: 'mirror' });
  await expect(room.prepare(taking, newId('run'))).rejects.toMatchObject({ code: 'TARGET_OWNED' });
  await room.run({ ...moving, spec: { ...moving.spec, scope: { tenant: 'acme2' } } });
  expect(await room.run(taking)).toMatchObject({ unchanged: 40 });
  await room.destination.releaseSync(taking.id);
  expect(await room.run(syncOf('acme', { mode: 'mirror' }))).toMatchObject({ unchanged: 40 });
});

test('what a sync has read into another scope is no reason to read less into this one', async () => {
  const cursor = { column: 'id' };
  const move = (sync: TestSync): TestSync => ({
    ...sync,
    spec: { ...sync.spec, scope: { tenant: 'acme2' } },
  });
  const upsert = syncOf('acme', { mode: 'upsert', cursor });
  await room.run(upsert);
  expect(await room.run(move(upsert))).toMatchObject({ inserted: 40 });
  const append = syncOf('acme', { cursor, table: 'added' });
  await room.run(append);
  await expect(room.run(move(append))).rejects.toMatchObject({ code: 'CURSOR_CHANGED' });
});

test.each(['partition of', 'child of'])('the rows of a %s a table are the table’s, too', async (kind) => {
  const columns = 'tenant text, id integer, name text';
  await (kind === 'partition of'
    ? room.to.query(`create table target (${columns}, primary key (tenant, id)) partition by list (tenant);
          create table part partition of target for values in ('acme');
          create table rest partition of target default`)
    : room.to.query(`create table target (${columns}, primary key (tenant, id));
          create table part (primary key (tenant, id)) inherits (target)`));
  const whole = {
    mode: 'upsert',
    scope: {},
    query: `select 'acme' as tenant, id, name from people`,
    key: ['tenant', 'id'],
  } as const;
  const above = syncOf('acme', { ...whole, key: ['tenant', 'id'] });
  await room.run(above);
  const below = syncOf('globex', { ...whole, key: ['tenant', 'id'], table: 'part' });
  await expect(room.prepare(below, newId('run'))).rejects.toMatchObject({ code: 'TARGET_OWNED' });
  await room.destination.releaseSync(above.id);
  await room.run(below);
  await expect(room.prepare(above, newId('run'))).rejects.toMatchObject({ code: 'TARGET_OWNED' });
  expect((await planOf(above)).refusals).toMatchObject([{ code: 'TARGET_OWNED' }]);
});
