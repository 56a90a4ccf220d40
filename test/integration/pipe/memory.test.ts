/** P6: what is on its way is bounded in bytes, whatever the rows are like and however many read at once. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRowMemory, sliceBytes } from '../../../src/copy/row-memory.ts';
import { newId } from '../../../src/domain/ids.ts';
import type { RowMemory } from '../../../src/ports/source.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import { createPipeRoom, rowsAsText, type PipeRoom } from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query('create table wide (id integer primary key, filler text)');
  await room.from.query(
    `insert into wide select i, repeat(md5(i::text), 4000 + 50 * i) from generate_series(1, 60) as i`,
  );
  await room.from.query('create table narrow (id integer primary key)');
  await room.from.query('insert into narrow select generate_series(1, 200000)');
});
afterAll(() => room.close());

/** A memory that remembers how much was out at most. */
function watched(limitBytes: number): RowMemory & { out: number; most: number } {
  const memory = createRowMemory(limitBytes);
  const watch = {
    out: 0,
    most: 0,
    take: (bytes: number) => {
      const buffer = memory.take(bytes);
      watch.out += buffer?.length ?? 0;
      watch.most = Math.max(watch.most, watch.out);
      return buffer;
    },
    give: (buffer: Buffer) => {
      watch.out -= buffer.length;
      memory.give(buffer);
    },
    freed: () => memory.freed(),
  };
  return watch;
}

async function copyThrough(
  memory: RowMemory,
  table: string,
  reader: 'copy' | 'cursor',
  count = 1,
): Promise<void> {
  const source = openPostgresSource(room.sourceAccess, memory);
  const targets = Array.from({ length: count }, (_, i) => `${table}_${i}`);
  for (const target of targets) await room.to.query(`drop table if exists ${target}`);
  await Promise.all(
    targets.map(async (target) => {
      const sync = room.sync({ query: `select * from ${table}`, key: ['id'], table: target }, reader);
      const run = newId('run');
      const load = await room.prepare(sync, run, { source });
      const result = await room.attempt(run, load, { source });
      expect(result).toMatchObject({ outcome: 'finished' });
      await room.destination.finish({ run, load: load.loadId });
    }),
  );
  const read = await rowsAsText(room.from, `select id from ${table}`);
  for (const target of targets) expect(await rowsAsText(room.to, `select id from ${target}`)).toEqual(read);
}

test.each(['copy', 'cursor'] as const)(
  'wide rows stay within the budget: batches end early (%s)',
  async (reader) => {
    const memory = watched(2 * 1024 * 1024);
    await copyThrough(memory, 'wide', reader);
    expect(memory.most).toBeLessThanOrEqual(2 * 1024 * 1024);
    expect(memory.out).toBe(0);
    const { rows } = await room.to.query(
      `select count(*)::int as batches from _penstock.checkpoint where rows > 0`,
    );
    expect(rows[0].batches).toBeGreaterThan(2);
  },
);

test('four copies share one budget, and each gets on', async () => {
  const memory = watched(6 * sliceBytes);
  await copyThrough(memory, 'narrow', 'copy', 4);
  expect(memory.most).toBeLessThanOrEqual(6 * sliceBytes);
  expect(memory.out).toBe(0);
});

test.each(['copy', 'cursor'] as const)('a row larger than the limit is refused (%s)', async (reader) => {
  const query = `select 1 as id, repeat('x', 50 * 1024 * 1024) as filler`;
  const sync = room.sync({ query, key: ['id'], table: 'huge' }, reader);
  const run = newId('run');
  const load = await room.prepare(sync, run);
  await expect(room.attempt(run, load)).rejects.toMatchObject({ code: 'ROW_TOO_LARGE' });
});

test('a row larger than a batch is a batch of its own', async () => {
  const query = `select i as id, repeat('x', i * 1024 * 1024) as filler from generate_series(1, 3) as i`;
  const run = newId('run');
  const load = await room.prepare(room.sync({ query, key: ['id'], table: 'large' }), run);
  const limits = { rows: 50_000, bytes: 64 * 1024, timeMs: 60_000 };
  expect(await room.attempt(run, load, { limits })).toMatchObject({
    outcome: 'finished',
    rows: 3,
    batches: 4,
  });
});

test('a slow source ends its batches by time, so that no transaction waits for it', async () => {
  await room.from.query(`create function nap(i integer) returns text language plpgsql stable as
    $$ begin perform pg_advisory_xact_lock_shared(i); return repeat('x', 9000); end $$`);
  const query = 'select id, nap(id) as nap from narrow where id <= 12';
  const run = newId('run');
  const load = await room.prepare(room.sync({ query, key: ['id'], table: 'slow' }), run);
  await room.from.query('select pg_advisory_lock(6), pg_advisory_lock(10)');
  const limits = { rows: 50_000, bytes: 1 << 20, timeMs: 100 };
  const copied = room.attempt(run, load, { limits });
  for (const slow of [6, 10]) {
    await waitUntil('the rows before a slow one are committed', async () => {
      const sql = 'select coalesce(sum(rows), 0)::int as n from _penstock.checkpoint where load = $1';
      // The end of the last one may lie in the server's buffer.
      return (await room.to.query<{ n: number }>(sql, [load.loadId])).rows[0]!.n >= slow - 2;
    });
    await room.from.query('select pg_advisory_unlock($1)', [slow]);
  }
  expect(await copied).toMatchObject({ outcome: 'finished', rows: 12 });
});
