/**
 * P10 over every route of the document: with an admin's key of one tenant, everything that names something of another one
 * is answered like something that nobody has, and leaves no trace. The victim then sends the same requests, so that each
 * is known to be one that only the wall refused.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newId, type TenantId } from '../../../src/domain/ids.ts';
import { createApiFixture, type Answer, type ApiFixture, type Call } from '../../support/api-fixture.ts';

const canary = 'canary';
const syncSpec = (connection: string) => ({
  name: `${canary}-two`,
  source: { connection, query: 'select id, changed_at from users' },
  destination: { connection, table: `sync.${canary}_two` },
  mode: 'upsert',
  key: ['id'],
  cursor: { column: 'changed_at' },
});
const schedule = { every: '1h' };
const stretch = { from: '2026-01-01', to: '2026-02-01' };

interface Owned {
  sync: string;
  run: string;
  connection: string;
  key: string;
  backfill: string;
}
type Made = readonly [route: string, body?: (owned: Owned) => object];
const nothing = () => ({});

/** What a tenant's admin may send about something of his own, in an order in which all succeed. */
const requests: readonly Made[] = [
  ['GET /v1/connections/{connection}'],
  ['PATCH /v1/connections/{connection}', () => ({ user: 'somebody', password: 'other' })],
  ['POST /v1/connections/{connection}/test', nothing],
  ['POST /v1/syncs', ({ connection }) => syncSpec(connection)],
  ['POST /v1/syncs/plan', ({ connection }) => syncSpec(connection)],
  ['GET /v1/syncs/{sync}'],
  [
    'PUT /v1/syncs/{sync}',
    ({ connection }) => ({ ...syncSpec(connection), name: `${canary}-sync`, schedule }),
  ],
  ['PATCH /v1/syncs/{sync}', () => ({ priority: 1 })],
  ['POST /v1/syncs/{sync}/plan', () => ({ priority: 2 })],
  ['POST /v1/syncs/{sync}/verify', nothing],
  ['GET /v1/syncs/{sync}/reset'],
  ['POST /v1/syncs/{sync}/reset', () => ({ how: 'reset', deleteRows: true })],
  ['GET /v1/syncs/{sync}/rejects'],
  ['GET /v1/syncs/{sync}/slots'],
  ['GET /v1/syncs/{sync}/cadence'],
  ['GET /v1/syncs/{sync}/schedule/next'],
  ['POST /v1/syncs/{sync}/skip-next', nothing],
  ['POST /v1/syncs/{sync}/move-next', () => ({ to: null })],
  ['POST /v1/syncs/{sync}/trigger', nothing],
  ['POST /v1/syncs/{sync}/pause', nothing],
  ['POST /v1/syncs/{sync}/resume', nothing],
  ['GET /v1/backfills/{backfill}'],
  ['POST /v1/backfills/{backfill}/cancel', nothing],
  ['POST /v1/syncs/{sync}/backfill', () => stretch],
  ['GET /v1/runs/{run}'],
  ['PATCH /v1/runs/{run}', () => ({ priority: 1 })],
  ['GET /v1/runs/{run}/events'],
  ['GET /v1/runs/{run}/attempts'],
  ['GET /v1/runs/{run}/explain'],
  ['POST /v1/runs/{run}/cancel', nothing],
  ['DELETE /v1/syncs/{sync}'],
  ['DELETE /v1/api-keys/{key}'],
];
/** Of these the victim's own request is refused as well, by the state that they find: they are sent by the intruder alone. */
const needMore: readonly Made[] = [
  ['POST /v1/syncs/{sync}/rejects/retry', nothing],
  ['POST /v1/runs/{run}/pause', nothing],
  ['POST /v1/runs/{run}/resume', nothing],
  ['DELETE /v1/connections/{connection}'],
];
const grant = { tablePattern: 'sync.*' };
/** Of the operator: no tenant's key opens them, whatever they name. */
const operators: readonly Made[] = [
  ['POST /v1/tenants', () => ({ name: 'evil' })],
  ['PATCH /v1/tenants/{tenant}', () => ({ weight: 9 })],
  ['POST /v1/tenants/{tenant}/pause', nothing],
  ['POST /v1/tenants/{tenant}/resume', nothing],
  ['POST /v1/pause', nothing],
  ['POST /v1/resume', nothing],
  ['GET /v1/connections/{connection}/grants'],
  ['PUT /v1/connections/{connection}/grants/{tenant}', () => grant],
  ['DELETE /v1/connections/{connection}/grants/{tenant}'],
  ['GET /v1/workers'],
  ['POST /v1/codec/decode', () => ({ payloads: [] })],
  ['POST /v1/codec/encode', () => ({ payloads: [] })],
];
const lists = [
  'GET /v1/tenants',
  'GET /v1/pauses',
  'GET /v1/api-keys',
  'GET /v1/connections',
  'GET /v1/syncs',
  'GET /v1/runs',
  'GET /v1/backfills',
];
/** They name nothing, or their answers are the caller's own by what they are. */
const harmless = [
  'GET /v1/tenants/{tenant}',
  'POST /v1/api-keys',
  'POST /v1/connections',
  'POST /v1/schedules/preview',
];

let fixture: ApiFixture;
let victim: { id: TenantId; call: Call; owned: Owned };
let intruder: Call;
beforeAll(async () => {
  fixture = await createApiFixture();
  const { tenantId } = await fixture.addTenant(`${canary}-tenant`);
  const call = await fixture.as(tenantId, 'admin');
  const connection = await call('POST', '/v1/connections', {
    name: `${canary}-warehouse`,
    kind: 'postgres',
    host: `${canary}.example.com`,
    database: canary,
    user: canary,
    password: `${canary}-password`,
  });
  const { id: sync } = (
    await call('POST', '/v1/syncs', {
      ...syncSpec(connection.body.id),
      name: `${canary}-sync`,
      schedule,
    })
  ).body;
  victim = {
    id: tenantId,
    call,
    owned: {
      sync,
      connection: connection.body.id,
      run: (await call('POST', `/v1/syncs/${sync}/trigger`, {})).body.id,
      backfill: (await call('POST', `/v1/syncs/${sync}/backfill`, stretch)).body.id,
      key: (await call('POST', '/v1/api-keys', { name: `${canary}-key`, role: 'viewer' })).body.id,
    },
  };
  await call('POST', `/v1/syncs/${sync}/pause`, { reason: canary });
  intruder = await fixture.as((await fixture.addTenant('intruder')).tenantId, 'admin');
  fixture.forget();
  fixture.asked.length = 0;
});
afterAll(() => fixture.drop());

function send(call: Call, [route, body]: Made, owned: Owned & { tenant: string }, query = '') {
  const [method, path] = route.split(' ') as ['GET', string];
  const url = path.replaceAll(/\{(\w+)\}/g, (_, name: keyof typeof owned) => owned[name]);
  return call(method, `${url}${query}`, body?.(owned));
}

/** Every row of the control database, as text. */
async function everyRow(): Promise<string[]> {
  const tables = await fixture.pool.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'penstock' order by 1`,
  );
  const found: string[] = [];
  for (const { name } of tables.rows) {
    // When a key was last used is noted of whoever asks.
    const { rows } = await fixture.pool.query<{ row: string }>(
      `select (to_jsonb(t) - 'last_used_at')::text as row from ${name} t order by 1`,
    );
    found.push(...rows.map(({ row }) => `${name} ${row}`));
  }
  return found;
}

const nobodys = {
  sync: newId('sync'),
  connection: newId('connection'),
  run: newId('run'),
  backfill: newId('backfill'),
  key: newId('apiKey'),
  tenant: newId('tenant'),
};

test('every route of the document is here', () => {
  const { paths = {} } = fixture.app.swagger() as { paths?: Record<string, object> };
  const documented = Object.entries(paths)
    .flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    )
    .filter((route) => route.includes(' /v1/'));
  const here = [...requests, ...needMore, ...operators].map(([route]) => route);
  const named = [...here, ...lists, ...harmless].map((route) => route.replaceAll(/\{\w+\}/g, '{}'));
  expect(documented.map((route) => route.replaceAll(/\{\w+\}/g, '{}')).toSorted()).toEqual(named.toSorted());
});

test('what is another tenant’s is answered like what nobody has, whatever the query says, and nothing changes', async () => {
  const before = await everyRow();
  expect(before.join('\n')).toContain(canary);
  const owned = { ...victim.owned, tenant: victim.id };
  /** An answer without what the request said: a refusal may repeat that. */
  const unasked = ({ text }: Answer): string =>
    [...Object.values(owned), `${canary}-tenant`].reduce((rest, word) => rest.replaceAll(word, ''), text);
  for (const query of ['', `?tenantId=${victim.id}`, `?tenantId=${canary}-tenant`]) {
    for (const request of [...requests, ...needMore, ...operators]) {
      const told = [request[0], query];
      const [foreign, made] = await Promise.all([
        send(intruder, request, owned, query),
        send(intruder, request, nobodys, query),
      ]);
      expect([...told, foreign.status]).toEqual([...told, made.status]);
      expect([...told, foreign.body.code]).toEqual([...told, made.body.code]);
      // A plan lists what it refuses.
      const refused = [400, 403, 404].includes(foreign.status) || foreign.body.ok === false;
      expect([...told, refused]).toEqual([...told, true]);
      expect([...told, unasked(foreign)]).toEqual([...told, expect.not.stringContaining(canary)]);
    }
    for (const list of lists) {
      const answer = unasked(await send(intruder, [list], owned, query));
      expect([list, query, answer]).toEqual([list, query, expect.not.stringContaining(canary)]);
    }
  }
  for (const filter of [`syncId=${owned.sync}`, `connectionId=${owned.connection}`, `name=${canary}-sync`])
    for (const list of lists) {
      const { body } = await send(intruder, [list], owned, `?${filter}`);
      expect([list, filter, body.items ?? []]).toEqual([
        list,
        filter,
        expect.not.arrayContaining([expect.objectContaining({ tenantId: victim.id })]),
      ]);
    }
  expect(await send(intruder, ['GET /v1/tenants/{tenant}'], owned)).toMatchObject({ status: 404 });
  for (const url of ['/v1/api-keys', '/v1/connections']) {
    const answer = await intruder('POST', url, {
      tenantId: victim.id,
      ...(url.endsWith('keys')
        ? { role: 'admin' }
        : { kind: 'postgres', host: 'a.example.com', database: 'd', user: 'u', password: 'p' }),
      name: 'planted',
    });
    expect([url, answer.status]).toEqual([url, 404]);
  }
  expect(await everyRow()).toEqual(before);
  // A plan was made all the same, of neither end.
  const asked = fixture.asked.filter((question) => !/^plan .* false false$/.test(question));
  expect([asked, fixture.told, fixture.heard.due, fixture.heard.offered]).toEqual([[], [], [], []]);
});

test('the victim’s own requests, the same ones, succeed', async () => {
  for (const request of requests) {
    const answer = await send(victim.call, request, { ...victim.owned, tenant: victim.id });
    expect([request[0], answer.status, answer.text]).toEqual([
      request[0],
      answer.status < 300 ? answer.status : 'a success',
      answer.text,
    ]);
  }
});
