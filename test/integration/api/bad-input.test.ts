import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { errorTable } from '../../../src/domain/errors.ts';
import { createApiFixture, type Answer, type ApiFixture, type Call } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
let acme: Call;
let key: string;
beforeAll(async () => {
  fixture = await createApiFixture();
  const tenant = await fixture.addTenant('acme');
  acme = await fixture.as(tenant.tenantId, 'admin');
  ({ key } = await fixture.store.apiKeys.create(tenant, { name: 'raw', role: 'admin', expiresAt: null }));
});
afterAll(() => fixture.drop());
beforeEach(() => {
  fixture.apiLines.length = 0;
});

/** What every refusal has: a code of the table with its status and cure, a request id, and nothing of our inside. */
function expectProblem({ status, headers, body, text }: Answer): void {
  expect(headers['content-type']).toContain('application/problem+json');
  const entry = errorTable[body.code as keyof typeof errorTable];
  expect(body).toMatchObject({
    type: `/problems#${body.code}`,
    title: entry.title,
    cure: entry.cure,
    status,
    detail: expect.stringMatching(/\w/),
    requestId: headers['request-id'],
  });
  expect(status).toBe(entry.status);
  expect(text).not.toMatch(/\bat .*\.(ts|js):\d|node_modules|penstock\.(sync|run)|select |syntax error/i);
}

const spec = {
  name: 'subscribers',
  source: { connection: 'warehouse', query: 'select id from users' },
  destination: { connection: 'warehouse', table: 'sync.subscribers' },
  mode: 'append',
  key: ['id'],
};
const connection = {
  name: 'db',
  kind: 'postgres',
  host: 'db.example.com',
  database: 'shop',
  user: 'reader',
  password: 'hush',
};

/** Applies changes by pointer: undefined removes the member. */
function changed(base: object, changes: Record<string, unknown>): unknown {
  const copy = structuredClone(base) as Record<string, unknown>;
  for (const [pointer, value] of Object.entries(changes)) {
    const path = pointer.slice(1).split('/');
    const last = path.pop()!;
    const parent = path.reduce<Record<string, unknown>>(
      (at, part) => (at[part] ??= {}) as Record<string, unknown>,
      copy,
    );
    if (value === undefined) delete parent[last];
    else parent[last] = value;
  }
  return copy;
}

describe('a sync with', () => {
  test.each<[pointer: string, changes: Record<string, unknown>, says: RegExp]>([
    ['/name', { '/name': undefined }, /./],
    ['/name', { '/name': 'Über Sync' }, /lower-case/],
    ['/name', { '/name': 'a/b' }, /./],
    ['/name', { '/name': 'x'.repeat(64) }, /./],
    ['/name', { '/name': 17 }, /./],
    ['/colour', { '/colour': 'red' }, /no such member/],
    ['/a~0b', { '/a~b': 1 }, /./],
    ['/source/query', { '/source/query': '' }, /./],
    ['/source/query', { '/source/query': 'select \0' }, /NUL/],
    ['/source/query', { '/source/query': 'select \ud800' }, /surrogate/],
    ['/source/password', { '/source/password': 'x' }, /./],
    ['/source/connection', { '/source/connection': 'nowhere' }, /no connection nowhere/],
    ['/destination/table', { '/destination/table': 'a.b.c' }, /./],
    ['/destination/table', { '/destination/table': '_penstock.load' }, /reserved/],
    ['/destination/table', { '/destination/table': 'pg_catalog.pg_class' }, /reserved/],
    ['/mode', { '/mode': 'merge' }, /./],
    ['/key', { '/mode': 'upsert', '/key': [] }, /needs a key/],
    ['/key', { '/mode': 'mirror', '/key': [] }, /needs a key/],
    ['/cursor', { '/mode': 'mirror', '/cursor': { column: 'at' } }, /reads the whole result/],
    ['/deletedWhen', { '/deletedWhen': 'gone' }, /goes with mode upsert/],
    ['/deletedWhen', { '/mode': 'upsert', '/deletedWhen': 'id' }, /column of the key/],
    ['/softDelete', { '/mode': 'upsert', '/softDelete': 'gone' }, /marks no rows/],
    ['/cursor', { '/mode': 'replace', '/cursor': { column: 'at' } }, /reads the whole result/],
    ['/keepPrevious', { '/mode': 'upsert', '/keepPrevious': true }, /only mode replace/],
    ['/keepPrevious', { '/mode': 'replace', '/keepPrevious': 1 }, /./],
    [
      '/destination/table',
      { '/mode': 'replace', '/keepPrevious': true, '/destination/table': `s.${'é'.repeat(28)}` },
      /at most 54 bytes/,
    ],
    ['/softDelete', { '/mode': 'mirror', '/softDelete': 'id' }, /column of the key/],
    ['/limits/maxDeletePercent', { '/limits': { maxDeletePercent: 101 } }, /./],
    ['/key/1', { '/key': ['id', 'id'] }, /twice/],
    ['/cursor/lookback', { '/cursor': { column: 'at', lookback: '5m' } }, /append/],
    ['/source/query', { '/source/query': 'select * from t where at > {{cursor}}' }, /has none|does not have/],
    ['/limits/parallel', { '/limits': { parallel: 0 } }, /./],
    ['/limits/parallel', { '/limits': { parallel: 17 } }, /16/],
    ['/columns/cast/id', { '/columns': { cast: { id: 'text; drop table t' } } }, /such as bigint/],
    ['/columns/omit/0', { '/columns': { omit: ['a'], rename: { a: 'b' } } }, /choose one/],
    ['/columns/rename/b', { '/columns': { rename: { a: 'c', b: 'c' } } }, /two columns/],
    ['/columns/colour', { '/columns': { colour: ['red'] } }, /no such member/],
    ['/cursor/lookback', { '/mode': 'upsert', '/cursor': { column: 'at', lookback: '5 minutes' } }, /5m/],
    ['/priority', { '/priority': 6 }, /./],
    ['/priority', { '/priority': 2.5 }, /./],
    ['/limits/batchRows', { '/limits': { batchRows: 0 } }, /./],
    ['/limits/batchBytes', { '/limits': { batchBytes: '16MB' } }, /16MiB/],
    ['/limits/batchBytes', { '/limits': { batchBytes: '65MiB' } }, /at most 64MiB/],
    ['/limits/batchBytes', { '/limits': { batchBytes: '0B' } }, /more than nothing/],
    ['/schedule', { '/schedule': {} }, /none of cron, every, at, anyOf, after, manual/],
    ['/schedule', { '/schedule': 'hourly' }, /not an object/],
    ['/schedule', { '/schedule': { cron: '0 * * * *', every: '5m' } }, /cron and every/],
    ['/schedule/cron', { '/schedule': { cron: '* * * *' } }, /./],
    ['/schedule/cron', { '/schedule': { cron: '0 0 30 2 *' } }, /./],
    ['/schedule/cron', { '/schedule': { cron: '' } }, /./],
    ['/schedule/timezone', { '/schedule': { cron: '0 * * * *', timezone: 'Berlin' } }, /./],
    ['/schedule/every', { '/schedule': { every: '0s' } }, /./],
    ['/schedule/at', { '/schedule': { at: 'tomorrow' } }, /./],
    ['/schedule/colour', { '/schedule': { every: '5m', colour: 1 } }, /./],
    ['/tenantId', { '/tenantId': 17 }, /./],
  ])('a wrong %s is refused there (%j)', async (pointer, changes, says) => {
    const answer = await acme('POST', '/v1/syncs', changed(spec, changes));
    expectProblem(answer);
    expect([answer.status, answer.body.pointer, answer.body.detail]).toEqual([
      400,
      pointer,
      expect.stringMatching(says),
    ]);
  });

  test.each(['append', 'replace'])('no key may %s: it is copied, only not resumed', async (mode) => {
    const answer = await acme(
      'POST',
      '/v1/syncs',
      changed(spec, { '/name': `keyless-${mode}`, '/mode': mode, '/key': [] }),
    );
    expect([answer.status, answer.body.key]).toEqual([201, []]);
  });

  test('several wrong members names them all', async () => {
    const answer = await acme('POST', '/v1/syncs', { ...spec, name: 'A', mode: 'x', extra: 1 });
    expectProblem(answer);
    expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual([
      '/extra',
      '/mode',
      '/name',
    ]);
  });
});

describe('a schedule', () => {
  test.each<[says: string, schedule: object, code: string, pointer: string]>([
    ['write a day up to 29', { cron: '0 0 30 2 *' }, 'SCHEDULE_NEVER_FIRES', '/schedule/cron'],
    ['add `seconds: true`', { cron: '0 */5 * * * *' }, 'SCHEDULE_INVALID', '/schedule/cron'],
    ['write {manual: true}', { cron: '@reboot' }, 'SCHEDULE_INVALID', '/schedule/cron'],
    ['H is a different value', { cron: 'H * * * *' }, 'SCHEDULE_INVALID', '/schedule/cron'],
    ['"30-59,0-10"', { cron: '30-10 * * * *' }, 'SCHEDULE_INVALID', '/schedule/cron'],
    ['{every: "90m"}', { cron: '*/90 * * * *' }, 'SCHEDULE_INVALID', '/schedule/cron'],
    ['at most 256', { cron: '*'.repeat(10_240) }, 'SCHEDULE_INVALID', '/schedule/cron'],
    [
      'did you mean Europe/Berlin?',
      { cron: '@daily', timezone: 'Europe/Berln' },
      'UNKNOWN_ZONE',
      '/schedule/timezone',
    ],
    ['is empty', { cron: '@daily', timezone: '' }, 'UNKNOWN_ZONE', '/schedule/timezone'],
    ['is an offset', { cron: '@daily', timezone: '+05:30' }, 'UNKNOWN_ZONE', '/schedule/timezone'],
    [
      '10240 characters',
      { cron: '@daily', timezone: 'x'.repeat(10_240) },
      'UNKNOWN_ZONE',
      '/schedule/timezone',
    ],
    ['from 1s to 3650d', { every: '1ms' }, 'SCHEDULE_INVALID', '/schedule/every'],
  ])('is refused with its own code and what to write: %s', async (says, schedule, code, pointer) => {
    for (const [method, url, body] of [
      ['POST', '/v1/syncs', { ...spec, schedule }],
      ['PUT', '/v1/syncs/subscribers', { ...spec, schedule }],
      ['PATCH', '/v1/syncs/subscribers', { schedule }],
    ] as const) {
      const answer = await acme(method, url, body);
      expectProblem(answer);
      expect([method, answer.status, answer.body]).toEqual([
        method,
        400,
        expect.objectContaining({ code, pointer, detail: expect.stringContaining(says) }),
      ]);
      expect(answer.text.length).toBeLessThan(1_000);
    }
  });
});

describe('a connection with', () => {
  test.each<[pointer: string, changes: Record<string, unknown>]>([
    ['/host', { '/host': undefined }],
    ['/host', { '/host': '/var/run/postgresql' }],
    ['/host', { '/host': 'postgres://u:p@db/x' }],
    ['/host', { '/host': 'db.example.com:5432' }],
    ['/host', { '/host': 'a b' }],
    ['/host', { '/host': '' }],
    ['/port', { '/port': '5432' }],
    ['/port', { '/port': 65_536 }],
    ['/user', { '/user': '' }],
    ['/password', { '/password': '' }],
    ['/password', { '/password': undefined }],
    ['/database', { '/database': '' }],
    ['/kind', { '/kind': 'oracle' }],
    ['/tls/mode', { '/tls': { mode: 'prefer' } }],
    ['/tls/ca', { '/tls': { mode: 'require', ca: 'x' } }],
    ['/connectionString', { '/connectionString': 'postgres://' }],
    ['/options', { '/options': '-c role=postgres' }],
  ])('a wrong %s is refused there (%j)', async (pointer, changes) => {
    const answer = await acme('POST', '/v1/connections', changed(connection, changes));
    expectProblem(answer);
    expect([answer.status, answer.body.pointer]).toEqual([400, pointer]);
    expect(answer.text).not.toContain('hush');
  });
});

describe('a request with', () => {
  const json = { 'content-type': 'application/json' };
  test.each<
    [what: string, url: string, payload: string | undefined, headers: Record<string, string>, status: number]
  >([
    ['half a body', '/v1/syncs', '{"name": "a"', json, 400],
    ['no JSON', '/v1/syncs', 'name=a', json, 400],
    ['a body that poisons prototypes', '/v1/syncs', '{"__proto__": {"admin": true}}', json, 400],
    ['an array', '/v1/syncs', '[]', json, 400],
    ['null', '/v1/syncs', 'null', json, 400],
    ['a number', '/v1/syncs', '17', json, 400],
    ['no body where one is needed', '/v1/syncs', undefined, {}, 400],
    ['a form', '/v1/syncs', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['plain text', '/v1/syncs', 'hello', { 'content-type': 'text/plain' }, 415],
    ['XML', '/v1/syncs', '<a/>', { 'content-type': 'application/xml' }, 415],
    ['more than a mebibyte', '/v1/syncs', JSON.stringify({ name: 'x'.repeat(1_100_000) }), json, 413],
    ['very deep nesting', '/v1/syncs', `{"name":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, json, 400],
    ['a body for a verb without members', '/v1/syncs/subscribers/resume', '{"a":1}', json, 400],
    [
      'an Idempotency-Key with a blank',
      '/v1/syncs',
      JSON.stringify(spec),
      { ...json, 'idempotency-key': 'a b' },
      400,
    ],
    [
      'an Idempotency-Key that is too long',
      '/v1/syncs',
      JSON.stringify(spec),
      { ...json, 'idempotency-key': 'x'.repeat(256) },
      400,
    ],
  ])('%s is refused', async (_, url, payload, headers, status) => {
    const response = await fixture.app.inject({
      method: 'POST',
      url,
      headers: { authorization: `Bearer ${key}`, ...headers },
      ...(payload === undefined ? {} : { payload }),
    });
    expect(response.statusCode).toBe(status);
    expectProblem({
      status: response.statusCode,
      headers: response.headers,
      body: response.json(),
      text: response.body,
    });
  });

  test.each<
    [method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, status: number, pointer: string | undefined]
  >([
    ['GET', '/v1/syncs?limit=0', 400, '/query/limit'],
    ['GET', '/v1/syncs?limit=1000', 400, '/query/limit'],
    ['GET', '/v1/syncs?limit=ten', 400, '/query/limit'],
    ['GET', '/v1/syncs?cursor=x', 400, '/query/cursor'],
    ['GET', '/v1/syncs?cursor=cnVuX3g', 400, '/query/cursor'],
    ['GET', '/v1/runs?cursor=MX5ydW5feA', 400, '/query/cursor'],
    ['GET', '/v1/syncs?colour=red', 400, '/query/colour'],
    ['GET', '/v1/syncs?name=a%00b', 400, '/query/name'],
    ['GET', '/v1/syncs?connectionId=warehouse', 400, '/query/connectionId'],
    ['GET', '/v1/runs?status=done', 400, '/query/status/0'],
    ['GET', '/v1/runs?syncId=nothing', 404, undefined],
    ['GET', '/v1/syncs/a%00b', 400, '/params/ref'],
    ['GET', '/v1/syncs/%ZZ', 400, undefined],
    ['GET', '/v1/syncs/%ff', 400, undefined],
    ['GET', `/v1/syncs/${'x'.repeat(90)}`, 400, '/params/ref'],
    ['GET', "/v1/syncs/'; drop schema penstock; --", 404, undefined],
    ['GET', '/v1/runs/run_x', 404, undefined],
    ['GET', '/v1/nothing', 404, undefined],
    ['DELETE', '/v1/syncs', 404, undefined],
    ['POST', '/v1/syncs/nothing/trigger', 404, undefined],
  ])('%s %s is refused with %i', async (method, url, status, pointer) => {
    const answer = await acme(method, url);
    expectProblem(answer);
    expect([answer.status, answer.body.pointer]).toEqual([status, pointer]);
  });

  test('an If-Match that is no ETag is refused', async () => {
    const answer = await acme('PATCH', '/v1/connections/warehouse', { name: 'w' }, { 'if-match': 'three' });
    expectProblem(answer);
    expect(answer.body.pointer).toBe('/headers/if-match');
  });

  test('a merge patch is understood by its own media type', async () => {
    await acme('POST', '/v1/syncs', { ...spec, name: 'patched' });
    const response = await fixture.app.inject({
      method: 'PATCH',
      url: '/v1/syncs/patched',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/merge-patch+json' },
      payload: '{"priority": 1}',
    });
    expect([response.statusCode, response.json().priority]).toEqual([200, 1]);
  });

  test('nothing above was an error of ours', () => {
    expect(fixture.apiLines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });
});

describe('on the wire', () => {
  const ask = async (bytes: string): Promise<string> => {
    const port = (fixture.app.server.address() as { port: number }).port;
    return new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString()));
      // Who is cut off with more to say may be told so by a reset, after the answer.
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
    });
  };
  beforeAll(async () => {
    await fixture.app.listen({ host: '127.0.0.1', port: 0 });
  });

  test('what is no HTTP is answered and cut off', async () => {
    expect(await ask('hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 .*application\/problem\+json/s);
  });

  test('headers without end are answered and cut off', async () => {
    expect(await ask(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
  });
});

describe('a failure of ours', () => {
  test('is INTERNAL: it names the request for the log, and nothing of its inside', async () => {
    const other = await createApiFixture();
    try {
      const call = await other.as((await other.addTenant('acme')).tenantId, 'admin');
      await other.pool.query('alter table penstock.sync rename to sync_gone');
      const answer = await call('GET', '/v1/syncs');
      expectProblem(answer);
      expect(answer).toMatchObject({ status: 500, body: { code: 'INTERNAL' } });
      const logged = other.apiLines.find((line) => line.includes('"level":"error"'));
      expect(logged).toContain(answer.body.requestId);
      expect(logged).toContain('penstock.sync');
    } finally {
      await other.drop();
    }
  });

  test('a database that is away is UNAVAILABLE, with a time to try again', async () => {
    const other = await createApiFixture();
    try {
      const call = await other.as((await other.addTenant('acme')).tenantId, 'admin');
      const pool = other.pool as unknown as { connect: () => Promise<never> };
      pool.connect = async () => {
        throw Object.assign(new Error('connect ECONNREFUSED 10.1.2.3:5432'), { code: 'ECONNREFUSED' });
      };
      const answer = await call('GET', '/v1/syncs');
      expectProblem(answer);
      expect(answer).toMatchObject({
        status: 503,
        headers: { 'retry-after': '1' },
        body: { code: 'UNAVAILABLE' },
      });
      expect(answer.text).not.toContain('10.1.2.3');
    } finally {
      await other.drop();
    }
  });
});
