/** Triggering, looking at and resetting syncs by the command line, against an API that listens. */
import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { childEnvironment } from '../../../src/config/child-environment.ts';
import { createApiFixture, type ApiFixture } from '../../support/api-fixture.ts';
import { aReceipt } from '../../support/plant-run.ts';

const execute = promisify(execFile);
let fixture: ApiFixture;
let env: Record<string, string>;
beforeAll(async () => {
  fixture = await createApiFixture();
  const { tenantId } = await fixture.addTenant('acme');
  const call = await fixture.as(tenantId, 'admin');
  await call('POST', '/v1/syncs', {
    name: 'subscribers',
    source: { connection: 'warehouse', query: 'select id from users' },
    destination: { connection: 'warehouse', table: 'sync.subscribers' },
    mode: 'append',
    key: ['id'],
  });
  const { key } = await fixture.store.apiKeys.create(
    { tenantId: null, apiKeyId: null },
    { name: 'cli', role: 'admin', expiresAt: null },
  );
  const apiUrl = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
  env = childEnvironment({ apiUrl, apiKey: key });
});
afterAll(() => fixture.drop());

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}
const penstock = (args: string[], environment = env): Promise<Ended> =>
  execute(process.execPath, ['dist/cli/main.js', ...args], { env: environment }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  );

const end = (set: string) =>
  fixture.pool.query(`update penstock.run set ${set}, ended_at = now() where ended_at is null`);

describe('penstock trigger', () => {
  test('queues a run and prints its id; with --json one line', async () => {
    const { stdout, code } = await penstock(['trigger', 'subscribers', '--priority', '1']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^run_[0-9a-f-]{36}\n$/)]);
    expect(await fixture.store.runs.fetch(fixture.operator, stdout.trim())).toMatchObject({ priority: 1 });
    const json = await penstock([
      'trigger',
      'subscribers',
      '--tenant',
      'acme',
      '--request-key',
      'k',
      '--json',
    ]);
    const again = await penstock(['trigger', 'subscribers', '--request-key', 'k', '--json']);
    expect(JSON.parse(json.stdout)).toEqual(JSON.parse(again.stdout));
    await end(`status = 'cancelled'`);
  });

  test('--wait follows the run: 0 when it succeeded, 2 when it did not', async () => {
    const receipt = aReceipt({ read: 7, inserted: 7, batches: 1, bytes: 9 });
    for (const [set, code, says] of [
      [`status = 'succeeded', receipt = '${JSON.stringify(receipt)}'`, 0, 'succeeded'],
      [
        `status = 'failed', error_code = 'SOURCE_SQL', error_message = 'no such column'`,
        2,
        'SOURCE_SQL no such column',
      ],
    ] as const) {
      const waiting = penstock(['trigger', 'subscribers', '--wait']);
      const queued = async (): Promise<boolean> =>
        (await fixture.pool.query(`select from penstock.run where status = 'queued'`)).rowCount === 1;
      while (!(await queued())) await fixture.pool.query('select pg_sleep(0.02)');
      await end(set);
      const ended = await waiting;
      expect([ended.code, ended.stdout]).toEqual([code, expect.stringContaining(says)]);
    }
  });
});

describe('penstock pause and resume', () => {
  test('are of a sync, a tenant or all, and it is said which', async () => {
    for (const [args, name] of [
      [['subscribers'], 'sync subscribers'],
      [['--tenant', 'acme'], 'tenant acme'],
    ] as const) {
      const paused = await penstock(['pause', ...args, '--reason', 'x', '--until', '2999-01-01T00:00:00Z']);
      expect(paused).toMatchObject({
        code: 0,
        stdout: `${name} is paused until 2999-01-01T00:00:00.000Z; runs at work go on\n`,
      });
      const resumed = await penstock(['resume', ...args]);
      expect(resumed).toMatchObject({ code: 0, stdout: `${name} is resumed; pauses in force: 0\n` });
    }
    expect((await penstock(['pause', 'subscribers', '--all'])).code).toBe(78);
  });
});

describe('penstock skip and move', () => {
  test('are about the next due time, and can be taken back', async () => {
    const call = await fixture.as(null, 'admin');
    const schedule = { every: '1d', startAt: '2100-01-01T00:00:00Z' };
    await call('PATCH', '/v1/syncs/subscribers', { schedule });
    const due = 'sync subscribers: the due time of 2100-01-01T00:00:00.000Z';
    for (const [args, says] of [
      [['skip', 'subscribers'], `${due} is recorded and not run`],
      [['move', 'subscribers', '--to', '2100-01-01T06:00:00Z'], `${due} is recorded and not run`],
      [['skip', 'subscribers', '--undo'], `${due} starts at 2100-01-01T06:00:00.000Z`],
      [['move', 'subscribers', '--undo'], `${due} runs`],
    ] as const)
      expect(await penstock([...args])).toMatchObject({ code: 0, stdout: `${says}\n` });
    await call('PATCH', '/v1/syncs/subscribers', { schedule: { manual: true } });
  });
});

describe('penstock backfill', () => {
  test('begins one, shows how far it is, and cancels it', async () => {
    const call = await fixture.as(null, 'admin');
    const { tenantId } = (await call('GET', '/v1/syncs/subscribers')).body;
    await call('POST', '/v1/syncs', {
      tenantId,
      name: 'orders',
      source: { connection: 'warehouse', query: 'select id, v from orders' },
      destination: { connection: 'warehouse', table: 'sync.orders' },
      mode: 'upsert',
      key: ['id'],
      cursor: { column: 'v' },
    });
    const begun = await penstock(['backfill', 'orders', '--from', '0', '--to', '30', '--every', '10']);
    const [, id] = /^(bkf_\S+) running: 0 of 3 parts, 0 rows; part 1 is queued: run_\S+\n$/.exec(
      begun.stdout,
    )!;
    const shown = await penstock(['backfill', '--id', id!, '--json']);
    expect(JSON.parse(shown.stdout)).toMatchObject({ id, from: '0', to: '30', every: '10', parts: 3 });
    const cancelled = await penstock(['backfill', '--id', id!, '--cancel']);
    expect(cancelled.stdout).toContain(`${id} cancelled: 0 of 3 parts`);
  });
});

describe('penstock runs', () => {
  test('lists them in a table or as JSON, and shows one', async () => {
    const table = await penstock(['runs', '--sync', 'subscribers', '--status', 'succeeded,failed']);
    expect(table.stdout.split('\n')[0]).toMatch(
      /^run +sync +origin +status +queued at +seconds +rows +error$/,
    );
    expect(table.stdout).toMatch(/subscribers +manual +failed/);
    const { items } = JSON.parse(
      (await penstock(['runs', '--sync', 'subscribers', '--json', '--limit', '1'])).stdout,
    );
    expect(items).toHaveLength(1);
    const shown = await penstock(['runs', items[0].id]);
    expect(shown.stdout).toContain('error     SOURCE_SQL no such column');
    expect(shown.stdout).toContain('workflow  https://temporal.test/');
    expect(shown.stdout).not.toContain('attempts that failed');
    await fixture.pool.query(
      `insert into penstock.run_attempt (run_id, partition, epoch, tenant_id, worker, ended_at, outcome, error_code, error_class, error_message)
       select id, 3, 1, tenant_id, 'a-worker', now(), 'failed', 'SOURCE_INTERRUPTED', 'transient', 'It was cut off.'
         from penstock.run where id = $1`,
      [items[0].id],
    );
    expect((await penstock(['runs', items[0].id])).stdout).toMatch(
      /attempts that failed\n.*\n.* 3 +a-worker +0 +SOURCE_INTERRUPTED It was cut off\./,
    );
    expect((await penstock(['runs', '--status', 'queued'])).stdout).toBe('no runs\n');
  });
});

describe('penstock plan', () => {
  test('says what a run would do; ends with 5 when it would be refused', async () => {
    expect(await penstock(['plan', 'subscribers'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('A run would begin to copy.'),
    });
    const file = join(await mkdtemp(join(tmpdir(), 'penstock-')), 'sync.json');
    const ends = {
      source: { connection: 'none', query: 'select 1' },
      destination: { connection: 'none', table: 't' },
    };
    await writeFile(file, JSON.stringify({ name: 'new', mode: 'append', ...ends }));
    const refused = await penstock(['plan', '--file', file, '--tenant', 'acme']);
    expect(refused).toMatchObject({
      code: 5,
      stdout: expect.stringContaining('BAD_REQUEST at /source/connection'),
    });
    expect(await penstock(['plan'])).toMatchObject({ code: 78, stderr: expect.stringContaining('--file') });
    fixture.asked.length = 0;
  });
});

describe('penstock verify', () => {
  test('asks the API, shows what differs, and ends with 4', async () => {
    const { stdout, code } = await penstock(['verify', 'subscribers', '--max-examples', '7']);
    expect(code).toBe(4);
    expect(stdout).toBe('1 missing: 3 rows at the source, 2 in the target\n  missing (7)\n');
    expect(fixture.asked).toEqual([expect.stringMatching(/^verify syn_\S+ 7$/)]);
    fixture.asked.length = 0;
  });
});

describe('penstock rejects', () => {
  const line = `open,"[""41""]",1,23514,,no_bad_names,"new row violates check constraint ""no_bad_names""",2,2026-01-01T00:00:00.000Z,2026-01-02T00:00:00.000Z,,"{""id"":""41"",""name"":null}"`;

  test('as CSV: all pages under one head, with every value', async () => {
    const { stdout, code } = await penstock(['rejects', 'subscribers', '--csv', '--settled']);
    expect([code, stdout.split('\r\n')]).toEqual([
      0,
      [
        'state,key,rows,sqlstate,column,constraint,cause,attempts,first_seen_at,last_seen_at,settled_at,values',
        line,
        line,
        '',
      ],
    ]);
    expect(fixture.asked).toEqual([
      expect.stringMatching(/^rejects syn_\S+ true undefined$/),
      expect.stringMatching(/^rejects syn_\S+ true 7$/),
    ]);
    fixture.asked.length = 0;
  });

  test('in a table, or as JSON a page a line', async () => {
    expect((await penstock(['rejects', 'subscribers'])).stdout).toContain('no_bad_names');
    const pages = (await penstock(['rejects', 'subscribers', '--json'])).stdout.trim().split('\n');
    expect(pages.map((page) => JSON.parse(page))).toMatchObject([
      { items: [{ key: ['41'] }] },
      { next: null },
    ]);
    fixture.asked.length = 0;
  });

  test('whose reader has gone end without a word', async () => {
    const cut = `"$0" dist/cli/main.js rejects subscribers --csv | true`;
    expect(await execute('sh', ['-c', cut, process.execPath], { env })).toEqual({ stdout: '', stderr: '' });
    fixture.asked.length = 0;
  });
});

describe('penstock explain', () => {
  test('says why a run waits, in words and as JSON', async () => {
    const { run } = await fixture.store.runs.trigger(fixture.operator, 'subscribers', {
      requestKey: 'explained',
      priority: undefined,
    });
    expect((await penstock(['explain', run.id])).stdout).toMatch(/^(behind|previous_run): /);
    expect(JSON.parse((await penstock(['explain', run.id, '--json'])).stdout)).toMatchObject({
      runId: run.id,
      status: 'queued',
      holders: expect.anything(),
    });
    await fixture.store.runs.cancel(fixture.operator, run.id);
    expect((await penstock(['explain', run.id])).stdout).toContain('it is cancelled and waits for nothing');
  });

  test('says of a run at work how fast it may read, and among how many', async () => {
    const { run } = await fixture.store.runs.trigger(fixture.operator, 'subscribers', {
      requestKey: 'paced',
      priority: undefined,
    });
    await fixture.pool.query(
      `update penstock.connection set rows_per_second = 1000, bytes_per_second = 4096
       where id = (select source_connection_id from penstock.run where id = $1)`,
      [run.id],
    );
    await fixture.pool.query(
      `insert into penstock.run_attempt (run_id, partition, epoch, tenant_id, worker, paced_by, heard_at, rows_share,
         bytes_share)
       select id, no, 1, tenant_id, 'w', source_connection_id, clock_timestamp(), 500, 2048
       from penstock.run, generate_series(1, 2) no where id = $1`,
      [run.id],
    );
    expect((await penstock(['explain', run.id])).stdout).toContain(
      `its source warehouse may be read at 1,000 rows and 4,096 bytes a second, by 2 attempts together
this run may read 1,000 rows and 4,096 bytes a second`,
    );
    expect(JSON.parse((await penstock(['explain', run.id, '--json'])).stdout)).toMatchObject({
      pace: { connection: 'warehouse', attempts: 2, share: { rowsPerSecond: 1_000, bytesPerSecond: 4_096 } },
    });
    await fixture.store.runs.cancel(fixture.operator, run.id);
  });
});

describe('penstock reset', () => {
  test('resets, accepts or keeps, and shows first what it would meet', async () => {
    const { id } = await fixture.store.syncs.fetch(fixture.operator, 'subscribers');
    expect(JSON.parse((await penstock(['reset', 'subscribers', '--delete-rows', '--json'])).stdout)).toEqual({
      id,
      how: 'reset',
    });
    expect((await penstock(['reset', 'subscribers', '--accept'])).stdout).toContain('accepted');
    expect((await penstock(['reset', 'subscribers', '--keep-cursor'])).stdout).toContain('reads on');
    const { stdout } = await penstock(['reset', 'subscribers', '--dry-run']);
    expect(stdout).toMatch(
      /unfinished load: lod_1, append, 7 rows\ncursor: moved at .*\ntable public.t: 7 rows\n/,
    );
    expect(fixture.asked).toEqual([
      `reset ${id} {"deleteRows":true}`,
      `accept ${id}`,
      `keep ${id}`,
      `describe ${id}`,
    ]);
  });
});

describe('a command that cannot be done', () => {
  test.each([
    [['trigger'], 78, 'sync'],
    [['trigger', 'subscribers', '--priority', '9'], 78, '--priority must be a whole number from 1 to 5'],
    [['runs', '--status', 'done'], 78, '--status must be any of'],
    [['reset', 'subscribers', '--accept', '--delete-rows'], 78, '--accept keeps the rows'],
    [['trigger', 'nothing'], 1, 'there is no sync nothing [NOT_FOUND]'],
    [['runs', 'run_x'], 1, '[NOT_FOUND]'],
    [['move', 'subscribers'], 78, '--to'],
    [['skip', 'subscribers', '--nominal-at', '2100-01-02T00:00:00Z'], 1, '[CONFLICT]'],
    [['backfill', 'subscribers', '--id', 'bkf_x'], 78, 'either a sync'],
    [['backfill', 'subscribers', '--from', '0', '--to', '1'], 1, '[NOT_BACKFILLABLE]'],
  ])('%j says why in one line and ends with %i', async (args, code, says) => {
    const ended = await penstock(args);
    expect([ended.code, ended.stdout]).toEqual([code, '']);
    expect(ended.stderr).toMatch(/^penstock: [^\n]+\n$/);
    expect(ended.stderr).toContain(says);
  });

  test('without a key names the option; with an API that is away says so', async () => {
    const { PENSTOCK_API_KEY: _, ...keyless } = env;
    expect(await penstock(['runs'], keyless)).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('PENSTOCK_API_KEY'),
    });
    const nowhere = { ...env, PENSTOCK_API_URL: 'http://127.0.0.1:9' };
    expect(await penstock(['runs'], nowhere)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not answer [UNAVAILABLE]'),
    });
  });
});
