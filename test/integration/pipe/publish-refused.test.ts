/** Rows that the target refuses only as a load is published: nothing of it is, and why is said by the constraint's own name. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import { createPipeRoom, type PipeRoom, type SyncInput } from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.destination.ensureSchema();
  await room.from.query('create table people (id integer, name text, doc json)');
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target cascade; drop table if exists parent');
  await room.from.query('truncate people');
  await room.from.query(`insert into people select i, 'name ' || i from generate_series(1, 10) as i`);
});

const query = 'select * from people';
const people = (over: Partial<SyncInput> = {}) => room.sync({ query, key: ['id'], ...over });
const limits = { limits: { rows: 50_000, bytes: 16 << 20, timeMs: 60_000, maxRejects: 10 } };
const rejects = async () => (await room.to.query('select * from _penstock.reject')).rows as unknown[];
const count = async () => Number((await room.to.query('select count(*) as n from target')).rows[0].n);

describe('a load whose rows are refused as it is published', () => {
  const staged = { query: `${query} limit 1000`, key: [] };
  test.each([
    ['append', staged, 'unique (name)', '23505', `insert into target values (99, 'name 5')`],
    ['append', staged, 'foreign key (id) references parent', '23503', null],
    ['replace', {}, 'unique (name)', '23505', null],
    ['replace', {}, 'exclude using btree (name with =)', '23P01', null],
  ] as const)(
    '%s %j: says why by the name of its %s, keeps the cause, and is published once that is mended',
    async (mode, over, constraint, sqlstate, spoil) => {
      await room.from.query(`insert into people values (11, 'name 5', null)`);
      await room.to.query('create table parent (id integer primary key)');
      await room.to.query('insert into parent select generate_series(1, 10)');
      await room.to.query(
        `create table target (id integer, name text, doc json, constraint "the Rule" ${constraint})`,
      );
      if (spoil) await room.to.query(spoil);
      const sync = people({ mode, limits: { maxDeletePercent: 100 }, ...over });
      const failed = room.run(sync, limits);
      await expect(failed).rejects.toMatchObject({
        code: 'VALUE_REFUSED',
        message: expect.stringMatching(
          `the constraint the Rule .SQLSTATE ${sqlstate}.*none is published.*Mend them`,
        ),
      });
      await expect(failed).rejects.toMatchObject({ message: expect.not.stringContaining('name 5') });
      const before = await count();
      expect(await rejects()).toMatchObject([
        {
          constraint: 'the Rule',
          sqlstate,
          key: null,
          stopped: true,
          cause: expect.stringMatching(sqlstate === '23P01' ? /the Rule"$/ : /the Rule.*Key/s),
        },
      ]);
      await room.to.query('alter table target drop constraint "the Rule"');
      await room.destination.closeRun(newId('run'));
      await room.run(sync, limits);
      expect(await count()).toBeGreaterThanOrEqual(before + 11);
      expect(await rejects()).toEqual([]);
    },
  );

  test('a mirror that may not delete says what forbids it, and goes on once that is gone', async () => {
    const sync = people({ query: 'select id, name from people', mode: 'mirror' });
    await room.run(sync);
    await room.to.query('create table child (id integer constraint "its Parent" references target)');
    await room.to.query('insert into child values (3)');
    await room.from.query('delete from people where id = 3');
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'VALUE_REFUSED',
      message: expect.stringMatching(
        /cannot be deleted because of the constraint its Parent .*23503.*softDelete/,
      ),
    });
    expect(await rejects()).toMatchObject([{ cause: expect.stringMatching(/\(3\).*child/), stopped: true }]);
    await room.to.query('drop table child');
    const run = newId('run');
    const load = await room.prepare(sync, run);
    expect(load).toMatchObject({ continued: true, phase: 'loaded' });
    await room.destination.finish({ run, load: load.loadId });
    expect(await count()).toBe(9);
    expect(await rejects()).toEqual([]);
  });
});
