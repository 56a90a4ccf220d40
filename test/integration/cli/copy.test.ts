/** `penstock copy` and `penstock verify` as processes of their own, between two databases and nothing else. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { copyOnce, type CopyOnceRequest } from '../../../src/copy/copy-once.ts';
import { openPostgresDestination } from '../../../src/destinations/postgres/postgres-destination.ts';
import { newId } from '../../../src/domain/ids.ts';
import type { Destination } from '../../../src/ports/destination.ts';
import { createPipeRoom, rowsAsText, urlOf, type PipeRoom } from '../../support/pipe-room.ts';
import { startPenstock, type EndedPenstock, type PenstockProcess } from '../../support/penstock-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

const rows = 3_000;
/** The batch with this row waits for the gate. */
const gatedRow = 1_650;
const gate = 4_711;
const query = 'select * from item';

let room: PipeRoom;
let urls: { from: string; to: string };
let gatekeeper: Client;
beforeAll(async () => {
  room = await createPipeRoom();
  urls = { from: urlOf(room.sourceAccess), to: urlOf(room.destinationAccess) };
  gatekeeper = new Client({ connectionString: urls.to });
  await gatekeeper.connect();
  await room.from.query(
    `create table item as select id, 'item ' || id as name from generate_series(1, ${rows}) id;
     alter table item add primary key (id)`,
  );
});
afterAll(async () => {
  await gatekeeper.end();
  await room.close();
});
beforeEach(async () => {
  await room.to.query(
    `drop table if exists target;
     create table target (id integer, name text);
     create or replace function wait_at_gate() returns trigger language plpgsql as
       $$ begin perform pg_advisory_xact_lock_shared(${gate}); return null; end $$;
     create trigger gate after insert on target for each row when (new.id = ${gatedRow})
       execute function wait_at_gate()`,
  );
});

/** Starts a copy of `item` into `target`, in batches of 100 rows. */
function copy(args: readonly string[] = [], env: Record<string, string> = {}): PenstockProcess {
  const ends = 'PENSTOCK_COPY_FROM' in env ? [] : ['--from', urls.from, '--to', urls.to];
  return startPenstock(['copy', ...ends, '--table', 'target', '--json', ...defaultsOf(args)], env);
}

const defaultsOf = (args: readonly string[]): string[] => [
  ...(args.includes('--query') ? [] : ['--query', query]),
  ...(args.includes('--key') ? [] : ['--key', 'id']),
  ...(args.includes('--batch-rows') ? [] : ['--batch-rows', '100']),
  ...args,
];

const jsonOf = ({ stdout }: EndedPenstock) => JSON.parse(stdout) as { receipt: Record<string, number> };
const closeGate = () => gatekeeper.query(`select pg_advisory_lock(${gate})`);
const openGate = () => gatekeeper.query(`select pg_advisory_unlock(${gate})`);

/** Until a copy waits at the gate, the batches before it committed. */
const untilAtGate = () =>
  waitUntil('a copy at the gate', async () => {
    const waiting = await room.to.query(
      `select from pg_locks where locktype = 'advisory' and objid = ${gate} and not granted`,
    );
    return waiting.rowCount === 1;
  });

const countTarget = async (): Promise<number> =>
  Number((await room.to.query<{ n: string }>('select count(*) as n from target')).rows[0]!.n);
const expectEqual = async () =>
  expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, query));
/** The attempts that committed batches of the newest load, oldest first. */
const committers = async () =>
  (
    await room.to.query<{ run: string; rows: number }>(
      `select run, sum(rows)::int as rows from _penstock.checkpoint
        where load = (select id from _penstock.load order by opened_at desc limit 1)
        group by run order by min(batch)`,
    )
  ).rows;

describe('penstock verify', () => {
  const verify = (args: readonly string[] = []) =>
    startPenstock(['verify', '--from', urls.from, '--to', urls.to, '--table', 'target', '--json', ...args])
      .ended;

  test('compares what a copy has written, and ends with 4 when it differs', async () => {
    await copy().ended;
    const equal = await verify();
    expect(equal).toMatchObject({ code: 0, stderr: '1 of 1 parts · 3,000 rows\n' });
    expect(JSON.parse(equal.stdout)).toMatchObject({ equal: true, sourceRows: rows, destinationRows: rows });
    await room.to.query('delete from target where id = 17');
    const differs = await verify();
    expect(differs).toMatchObject({ code: 4 });
    expect(JSON.parse(differs.stdout)).toMatchObject({ examples: [{ fault: 'missing', key: '(17)' }] });
  });

  test('compares the rows of a scope, which is a copy of its own', async () => {
    const of = ['--table', 'shared', '--scope', 'tenant=acme'];
    expect(await copy([...of, '--mode', 'upsert']).ended).toMatchObject({ code: 0 });
    expect(await verify(of)).toMatchObject({ code: 0 });
    await room.to.query('delete from shared where id = 19');
    expect(await verify(of)).toMatchObject({ code: 4, stdout: expect.stringContaining('(19)') });
    expect(await verify(['--table', 'shared'])).toMatchObject({ code: 1 });
  });

  test('compares what a sync has written, which is told by its id', async () => {
    const sync = room.sync({ query, key: ['id'], table: 'of_a_sync' });
    await room.run(sync);
    await room.to.query('delete from of_a_sync where id = 18');
    const verify = (ref: string) =>
      startPenstock(['verify', ref, '--from', urls.from, '--to', urls.to]).ended;
    expect(await verify(sync.id)).toMatchObject({ code: 4, stdout: expect.stringContaining('missing (18)') });
    expect(await verify('subscribers')).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('by its id'),
    });
  });

  test('refuses what was never copied, and says what it needs', async () => {
    expect(await verify(['--name', 'never'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('CONFLICT'),
    });
    expect(await startPenstock(['verify', '--json']).ended).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('--table'),
    });
  });
});

describe('penstock copy --plan', () => {
  test('says what it would do and copies nothing; ends with 5 when it would be refused', async () => {
    const planned = await copy(['--plan']).ended;
    expect(planned).toMatchObject({ code: 0 });
    expect(JSON.parse(planned.stdout)).toMatchObject({
      ok: true,
      target: { exists: true },
      read: { resumes: true },
    });
    expect(await countTarget()).toBe(0);
    const refused = await copy(['--plan', '--query', 'select * from nothing']).ended;
    expect(refused).toMatchObject({ code: 5 });
    expect(JSON.parse(refused.stdout)).toMatchObject({ ok: false, refusals: [{ code: 'SOURCE_SQL' }] });
  });
});

describe('penstock copy', () => {
  test('copies every row, makes the table, and prints one line for programs', async () => {
    await room.to.query('drop table target');
    const ended = await copy().ended;
    expect(ended).toMatchObject({ code: 0 });
    expect(jsonOf(ended)).toMatchObject({
      status: 'succeeded',
      already: false,
      receipt: { read: rows, inserted: rows, batches: 31 },
    });
    expect(ended.stdout.split('\n')).toEqual([expect.any(String), '']);
    await expectEqual();
  });

  test('killed with SIGKILL and started again, it goes on from the newest checkpoint', async () => {
    await closeGate();
    const first = copy();
    await untilAtGate();
    first.process.kill('SIGKILL');
    await first.ended;
    await openGate();
    const second = await copy().ended;
    expect(second.stderr).toContain('goes on with an unfinished load');
    expect(jsonOf(second)).toMatchObject({ status: 'succeeded', receipt: { read: rows } });
    expect((await committers()).map((each) => each.rows)).toEqual([1_600, rows - 1_600]);
    await expectEqual();
  });

  test('with --parallel other ranges go on while one waits, and killed it goes on in each where it was', async () => {
    await room.from.query('analyze item');
    await closeGate();
    const first = copy(['--parallel', '3']);
    await untilAtGate();
    const ended = `select from _penstock.checkpoint where final
        and load = (select id from _penstock.load order by opened_at desc limit 1)`;
    await waitUntil('five ranges', async () => (await room.to.query(ended)).rowCount! > 4);
    first.process.kill('SIGKILL');
    await first.ended;
    await openGate();
    const second = await copy(['--parallel', '2']).ended;
    expect(jsonOf(second)).toMatchObject({ status: 'succeeded', receipt: { read: rows } });
    expect(await committers()).toHaveLength(2);
    await expectEqual();
  });

  test('at SIGINT it commits the batch in hand, says what there is, and ends with 2', async () => {
    await closeGate();
    const first = copy();
    await untilAtGate();
    first.process.kill('SIGINT');
    await waitUntil('the word that it stops', () => first.said.stderr.includes('stopping'));
    await openGate();
    const ended = await first.ended;
    expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining('stopping') });
    expect(jsonOf(ended)).toMatchObject({ status: 'cancelled', receipt: { read: await countTarget() } });
    expect(await countTarget()).toBeGreaterThanOrEqual(1_700);
    expect(await countTarget()).toBeLessThan(rows);
    expect(jsonOf(await copy().ended)).toMatchObject({ status: 'succeeded', receipt: { read: rows } });
    await expectEqual();
  });

  test('of two at once the later one stays, and the earlier one says so', async () => {
    await closeGate();
    const first = copy();
    await untilAtGate();
    const second = copy();
    const ended = await first.ended;
    await openGate();
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining('has taken over. [RUN_FINAL]') });
    expect(jsonOf(await second.ended)).toMatchObject({ status: 'succeeded' });
    await expectEqual();
  });

  test('an append with another query is refused until the rows are accepted, and stops nobody', async () => {
    await closeGate();
    const first = copy();
    await untilAtGate();
    const other = ['--query', `${query} where id > 0`];
    const refused = await copy(other).ended;
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('[UNFINISHED_LOAD]') });
    first.process.kill('SIGKILL');
    await first.ended;
    await openGate();
    expect((await copy([...other, '--reset', '--delete-rows']).ended).code).toBe(0);
    await expectEqual();
  });

  test('with --once what is done is not done again; under another name it is', async () => {
    expect(await copy(['--name', 'first']).ended).toMatchObject({ code: 0 });
    const again = await copy(['--name', 'first', '--once']).ended;
    expect(jsonOf(again)).toMatchObject({ already: true, receipt: { read: rows } });
    expect(await countTarget()).toBe(rows);
    expect(jsonOf(await copy(['--name', 'second', '--once']).ended)).toMatchObject({ already: false });
    expect(await countTarget()).toBe(2 * rows);
  });

  test.each([
    ['before it has opened a load', true],
    ['after it has found that load unfinished', false],
  ])('with --once it does not copy again what another copy has done meanwhile, %s', async (_, isDone) => {
    const name = `meanwhile ${isDone}`;
    const [first, late] = [openPostgresDestination(room.destinationAccess), room.destination];
    const request = (): CopyOnceRequest => ({
      spec: room.sync({ query, key: ['id'], limits: { batchRows: 100 } }).spec,
      run: newId('run'),
      once: true,
      retryForMs: 30_000,
      stop: new AbortController().signal,
      onLoad: () => {},
      onProgress: () => {},
      onRetry: () => {},
    });
    const spec = { ...request().spec, name };
    await closeGate();
    const earlier = copyOnce({ source: room.source, destination: first }, { ...request(), spec });
    await untilAtGate();
    const finishEarlier = async () => {
      await openGate();
      await earlier;
    };
    const destination: Destination = {
      ...late,
      findLoad: async (asked) => {
        if (isDone) await finishEarlier();
        return late.findLoad(asked);
      },
      takeOver: async (asked) => {
        if (!isDone) await finishEarlier();
        return late.takeOver(asked);
      },
    };
    const result = await copyOnce({ source: room.source, destination }, { ...request(), spec });
    expect(result).toMatchObject({ status: 'succeeded', already: true, receipt: { read: rows } });
    await expectEqual();
    const open = `select from _penstock.load where phase not in ('done', 'abandoned')`;
    expect((await room.to.query(open)).rowCount).toBe(0);
    await first.close();
  });

  test('with --once a load that was begun after the one that is done is finished', async () => {
    await room.to.query('alter table target add primary key (id)');
    const upsert = ['--mode', 'upsert', '--name', 'twice'];
    expect(await copy(upsert).ended).toMatchObject({ code: 0 });
    await room.to.query(`delete from target where id = ${gatedRow}`);
    await closeGate();
    const killed = copy(upsert);
    await untilAtGate();
    killed.process.kill('SIGKILL');
    await killed.ended;
    await openGate();
    expect(jsonOf(await copy([...upsert, '--once']).ended)).toMatchObject({ already: false });
    await expectEqual();
    const open = `select from _penstock.load where phase not in ('done', 'abandoned')`;
    expect((await room.to.query(open)).rowCount).toBe(0);
  });

  test('a cursor is kept from one call to the next', async () => {
    await room.to.query('alter table target add primary key (id)');
    const cursor = ['--mode', 'upsert', '--cursor', 'id', '--name', 'windows'];
    expect(jsonOf(await copy(cursor).ended)).toMatchObject({ receipt: { read: rows } });
    expect(jsonOf(await copy(cursor).ended)).toMatchObject({ receipt: { read: 0 } });
  });

  test('takes the databases from the environment, and never prints a password', async () => {
    await room.from.query(`create role reader login superuser password 'hush-reader'`);
    const from = urls.from.replace(/\/\/[^@]*@/, '//reader:hush-reader@');
    const wrong = from.replace('hush-reader', 'hush-wrong');
    try {
      const env = { PENSTOCK_COPY_FROM: from, PENSTOCK_COPY_TO: urls.to };
      const ended = await copy([], env).ended;
      expect(ended).toMatchObject({ code: 0 });
      const unknown = await copy([], { ...env, PENSTOCK_COPY_FROM: wrong.replace('reader:', 'nobody:') })
        .ended;
      expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('[SOURCE_') });
      expect(JSON.parse(unknown.stdout)).toMatchObject({ status: 'failed' });
      expect(JSON.stringify([ended, unknown])).not.toContain('hush-');
    } finally {
      await room.from.query('drop role reader');
    }
  });

  test.each([
    [['--mode', 'sideways'], '--mode'],
    [['--batch-rows', 'many'], '--batch-rows'],
    [['--mode', 'upsert', '--key', ''], 'key'],
    [['--accept', '--reset'], '--accept'],
    [['--from', 'postgres://u:hush-p@h/db?options=-c'], 'options'],
    [['--retry-for', 'long'], '--retry-for'],
  ])('a wrong flag is told by its name: %j', async (args, says) => {
    const ended = await copy(args).ended;
    expect(ended).toMatchObject({ code: 78, stdout: '', stderr: expect.stringContaining(says) });
    expect(ended.stderr).not.toContain('hush-');
  });
});
