/** Whatever is sent to any route, the answer is no failure of ours. A failing case prints its seed. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createApiFixture, type ApiFixture, type Call } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
let call: Call;
beforeAll(async () => {
  fixture = await createApiFixture();
  call = await fixture.as((await fixture.addTenant('acme')).tenantId, 'admin');
  await call('POST', '/v1/syncs', sync);
});
afterAll(() => fixture.drop());

const sync = {
  name: 'subscribers',
  source: { connection: 'warehouse', query: 'select id from users' },
  destination: { connection: 'warehouse', table: 'sync.subscribers' },
  mode: 'append',
  key: ['id'],
  schedule: { every: '1h' },
};
const connection = {
  name: 'db',
  kind: 'postgres',
  host: 'db.example.com',
  port: 5432,
  database: 'd',
  user: 'u',
  password: 'p',
  tls: { mode: 'verify-full' },
};
const samples: readonly object[] = [
  sync,
  connection,
  { reason: 'x', until: '2030-01-01T00:00:00Z' },
  { how: 'reset' },
];

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom(
    '',
    ' ',
    '\0',
    '\ud800',
    '%',
    "'",
    '-1',
    '1e9',
    'null',
    '../x',
    '*/5 * * * *',
    'x'.repeat(300),
  ),
  fc.constantFrom('warehouse', 'subscribers', 'acme', `run_${'0'.repeat(36)}`),
);
const value = fc.oneof(
  text,
  fc.jsonValue(),
  fc.constantFrom(null, true, 0, -1, 1.5, 1e308, 2 ** 53, [], {}, [[]], [null]),
);

/** A good body with one to three members, at any depth, replaced, added or removed. */
const bentBody = fc
  .tuple(
    fc.constantFrom(...samples),
    fc.array(fc.tuple(fc.nat(), fc.option(value)), { minLength: 1, maxLength: 3 }),
  )
  .map(([sample, bends]) => {
    const body = structuredClone(sample) as Record<string, unknown>;
    for (const [where, put] of bends) {
      const parents = [
        body,
        ...Object.values(body).filter((member) => typeof member === 'object' && member !== null),
      ];
      const parent = parents[where % parents.length] as Record<string, unknown>;
      const names = [...Object.keys(parent), 'unheard'];
      const name = names[where % names.length]!;
      if (put === null) delete parent[name];
      else parent[name] = structuredClone(put);
    }
    return body;
  });

test('no request is answered with a failure of ours', async () => {
  const { paths = {} } = fixture.app.swagger() as { paths?: Record<string, Record<string, unknown>> };
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => [method.toUpperCase(), path] as const),
  );
  const request = fc.record({
    route: fc.constantFrom(...routes),
    parts: fc.array(text, { minLength: 2, maxLength: 2 }),
    query: fc.dictionary(
      fc.constantFrom('limit', 'cursor', 'tenantId', 'syncId', 'status', 'count', 'name', 'unheard'),
      text,
      { maxKeys: 2 },
    ),
    body: fc.oneof(bentBody, value),
    headers: fc.dictionary(
      fc.constantFrom('if-match', 'idempotency-key', 'prefer'),
      fc.constantFrom('"1"', '*', 'x', 'wait=0', 'W/"2"', ''),
      { maxKeys: 2 },
    ),
  });
  await fc.assert(
    fc.asyncProperty(request, async ({ route: [method, path], parts, query, body, headers }) => {
      const filled = parts.reduce(
        (at, part) =>
          at.replace(/\{[a-z]+\}/i, () => encodeURIComponent(part.replaceAll(/\p{Surrogate}/gu, '')) || 'x'),
        path,
      );
      const search = new URLSearchParams(query).toString();
      const hasBody = method !== 'GET' && method !== 'DELETE' && body !== null && typeof body === 'object';
      const answer = await call(method as 'GET', `${filled}?${search}`, hasBody ? body : undefined, headers);
      expect([method, filled, answer.status < 500, answer.status < 500 ? '' : answer.text]).toEqual([
        method,
        filled,
        true,
        '',
      ]);
      if (answer.status >= 400) expect(answer.body.code).toMatch(/^[A-Z_]+$/);
    }),
    { numRuns: 600 },
  );
});
