/** P1, P2: the destination's server crashes. What it takes back is the newest batch at most, with its checkpoint. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { commitBatch } from '../../../src/destinations/postgres/commit-protocol.ts';
import { startStack, type Stack } from '../../../src/dev/stack.ts';
import { newId } from '../../../src/domain/ids.ts';
import { createPipeRoom, rowsAsText, type PipeRoom } from '../../support/pipe-room.ts';

let stack: Stack<'postgres'>;
let room: PipeRoom;
beforeAll(async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'penstock-crash-'));
  stack = await startStack({ dataDir, servers: ['postgres'], log: () => {} });
  room = await createPipeRoom({ destinationUrl: stack.postgres.urlOf('postgres') });
  await room.from.query('create table numbers (id integer primary key, label text)');
  await room.from.query(`insert into numbers select i, md5(i::text) from generate_series(1, 60000) as i`);
}, 120_000);
afterAll(async () => {
  await room.close();
  await stack.stop({ discard: true });
});

test.each([
  ['waits for the disk while the batch before is not there', 'FFFFFFFF/FFFFFFFF', false, 'on'],
  ['does not wait when it is', '0/1', false, 'off'],
  ['waits when it is the last of its partition', '0/1', true, 'on'],
  ['waits when the server does not say', null, false, 'on'],
])('a batch’s COMMIT %s', async (_, before, final, expected) => {
  const end = { keyHi: null, rows: 0, bytes: 0, final };
  const counts = { inserted: 0, updated: 0, unchanged: 0, deduplicated: 0 };
  const lease = { run: newId('run'), load: newId('load'), partition: 1, epoch: '1' };
  const sql = commitBatch({ lease, known: null, end, counts, target: 't', relation: '0', before });
  await room.from.query('begin');
  const beforeInsert = sql.slice(0, sql.indexOf('insert into'));
  if (beforeInsert !== '') await room.from.query(beforeInsert);
  const { rows } = await room.from.query('show synchronous_commit');
  expect(rows).toEqual([{ synchronous_commit: expected }]);
  await room.from.query('rollback');
});

test.each(['append', 'upsert'] as const)(
  '%s: after each of several crashes at most one batch is done again, and the copy equals the source',
  async (mode) => {
    const run = newId('run');
    const sync = room.sync({ query: 'select * from numbers', key: ['id'], mode, table: mode });
    const load = await room.prepare(sync, run);
    let told = 0;
    const lost: number[] = [];
    for (let crashAt = 40; ; crashAt += 40) {
      let isFirst = true;
      let crash: Promise<void> | undefined;
      const result = await room
        .attempt(run, load, {
          limits: { rows: 300, bytes: 1 << 20, timeMs: 5_000 },
          onProgress: ({ batches }) => {
            if (isFirst) lost.push(told - batches);
            isFirst = false;
            told = batches;
            // SIGQUIT is PostgreSQL's immediate shutdown: nothing is flushed, recovery follows.
            if (batches >= crashAt && crashAt <= 160) crash ??= stack.postgres.kill('SIGQUIT');
          },
        })
        .catch(() => ({ outcome: 'yielded' }));
      if (result.outcome === 'finished') break;
      await crash;
      await stack.postgres.start();
    }
    // 0 in the first attempt; -1: committed without an answer.
    expect(lost.length).toBeGreaterThanOrEqual(5);
    expect(Math.max(...lost)).toBeLessThanOrEqual(1);
    const { receipt } = await room.destination.finish({ run, load: load.loadId });
    expect(receipt).toMatchObject({ read: 60_000, inserted: 60_000 });
    const sent = await rowsAsText(room.from, 'select * from numbers');
    const client = new Client(stack.postgres.urlOf('postgres'));
    await client.connect();
    expect(await rowsAsText(client, `select * from ${mode}`)).toEqual(sent);
    await client.end();
  },
  180_000,
);
