import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import { createPipeRoom, type PipeRoom, type SyncInput, type TestSync } from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.from
    .query(`drop table if exists events; create table events (id int primary key, v int, note text);
    insert into events select n, n, 'first' from generate_series(1, 100) n`);
  await room.to.query('drop table if exists target');
});

const make = (over: Partial<SyncInput> = {}): TestSync =>
  room.sync({
    query: 'select id, v, note from events',
    mode: 'upsert',
    key: ['id'],
    cursor: { column: 'v' },
    limits: { batchRows: 10 },
    ...over,
  });
const cursorOf = async ({ id }: TestSync): Promise<string | null> =>
  (await room.to.query<{ value: string | null }>('select value from _penstock.cursor where sync = $1', [id]))
    .rows[0]!.value;
const notes = async (): Promise<Record<string, string>> => {
  const { rows } = await room.to.query<{ note: string; ids: string }>(
    'select note, min(id) || $$-$$ || max(id) as ids from target group by note',
  );
  return Object.fromEntries(rows.map(({ note, ids }) => [note, ids]));
};
/** Begins a load and leaves it after its first batch, as a run that fails does. */
async function leaveUnfinished(sync: TestSync, window?: { low: string; high: string }): Promise<void> {
  const run = newId('run');
  const load = await room.prepare(sync, run, window && { window });
  const first = await room.attempt(run, load, {
    limits: { rows: 10, bytes: 1e6, timeMs: 60_000 },
    yieldAfterMs: 0,
  });
  expect(first.outcome).toBe('yielded');
  await room.destination.closeRun(run);
}
const phases = async ({ id }: TestSync): Promise<string[]> =>
  (
    await room.to.query<{ phase: string }>(
      'select phase from _penstock.load where sync = $1 order by opened_at, id',
      [id],
    )
  ).rows.map((row) => row.phase);

describe('a backfill', () => {
  test('reads its window again, above `from` up to and with `to`, and leaves the cursor where it is', async () => {
    const sync = make();
    await room.run(sync);
    await room.from.query(`update events set note = 'again'`);
    expect(await room.run(sync, { window: { low: '20', high: '40' } })).toMatchObject({
      read: 20,
      updated: 20,
    });
    expect([await notes(), await cursorOf(sync)]).toEqual([{ first: '1-100', again: '21-40' }, '100']);
    await room.from.query(`insert into events values (101, 101, 'new')`);
    expect(await room.run(sync)).toMatchObject({ read: 1 });
    expect(await cursorOf(sync)).toBe('101');
  });

  test('before the first load leaves all to that', async () => {
    const sync = make();
    await room.run(sync, { window: { low: '20', high: '40' } });
    expect(await cursorOf(sync)).toBeNull();
    expect(await room.run(sync)).toMatchObject({ read: 100, inserted: 80, unchanged: 20 });
  });

  test('is what the placeholders stand for, without the lookback', async () => {
    await room.from.query(
      `alter table events alter v type timestamptz using timestamptz '2030-01-01' + v * interval '1 day'`,
    );
    const query = 'select id, v, note from events where v > {{window.from}} and v <= {{window.to}}';
    const sync = make({ query, cursor: { column: 'v', lookback: '30d', lag: '0s' } });
    const window = { low: '2030-01-11T00:00:00Z', high: '2030-01-16T00:00:00Z' };
    expect(await room.run(sync, { window })).toMatchObject({ read: 5 });
    expect(await notes()).toEqual({ first: '11-15' });
  });

  test('finishes first what a run of the sync has left, which moves the cursor as that would have', async () => {
    const sync = make();
    await leaveUnfinished(sync);
    expect(await room.run(sync, { window: { low: '20', high: '40' } })).toMatchObject({ read: 120 });
    expect([await phases(sync), await cursorOf(sync)]).toEqual([['done', 'done'], '100']);
  });

  test.each(['dropped', 'made anew'])(
    'into a target that was %s leaves no cursor: the next run reads everything',
    async (how) => {
      const sync = make();
      await room.run(sync);
      await room.to.query('create table spare (like target including all); drop table target');
      await room.to.query(how === 'dropped' ? 'drop table spare' : 'alter table spare rename to target');
      expect(await room.run(sync, { window: { low: '20', high: '40' } })).toMatchObject({ inserted: 20 });
      expect(await cursorOf(sync)).toBeNull();
      expect(await room.run(sync)).toMatchObject({ read: 100, inserted: 80, unchanged: 20 });
    },
  );

  test('that was left is given up by the next run, which reads from the cursor', async () => {
    const sync = make();
    await room.run(sync);
    await leaveUnfinished(sync, { low: '20', high: '80' });
    await room.from.query(`insert into events values (101, 101, 'new')`);
    expect(await room.run(sync)).toMatchObject({ read: 1 });
    expect([await phases(sync), await cursorOf(sync)]).toEqual([['done', 'abandoned', 'done'], '101']);
  });

  test.each([
    ['/mode', { mode: 'append' }],
    ['/cursor', { cursor: undefined as never }],
  ] as const)('is refused at %s for a sync with %p', async (pointer, over) => {
    const run = room.run(make(over), { window: { low: '20', high: '40' } });
    await expect(run).rejects.toMatchObject({ code: 'NOT_BACKFILLABLE', pointer });
  });
});
