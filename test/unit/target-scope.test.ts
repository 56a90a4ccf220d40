/** Which syncs may share a table, held against what it means: no row is both's. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { checkScope } from '../../src/copy/plan-scope.ts';
import { mayShare } from '../../src/destinations/postgres/ownership.ts';
import { areDisjoint, targetScopeSchema, type TargetScope } from '../../src/domain/target-scope-spec.ts';

const values = ['1', '2', true] as const;
const scopes = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom(...values));

/** Every row over three columns. */
const rows = values.flatMap((a) => values.flatMap((b) => values.map((c) => ({ a, b, c }))));
const holds = (scope: TargetScope, row: TargetScope): boolean =>
  Object.entries(scope).every(([column, value]) => row[column] === value);

describe('two scopes', () => {
  test('are disjoint exactly when no row is in both, whichever comes first', () => {
    fc.assert(
      fc.property(scopes, scopes, (one, other) => {
        const common = rows.some((row) => holds(one, row) && holds(other, row));
        expect(areDisjoint(one, other)).toBe(!common);
        expect(areDisjoint(other, one)).toBe(!common);
      }),
      { numRuns: 1_000 },
    );
  });

  test('that write one value as text and as a number are not disjoint', () => {
    expect(areDisjoint({ account: 42 }, { account: '42' })).toBe(false);
    expect(areDisjoint({ live: true }, { live: 'true' })).toBe(false);
  });

  test('that name a member every object has are compared by their own members', () => {
    const odd = JSON.parse('{"__proto__": "x", "constructor": "y"}') as unknown;
    const scope = targetScopeSchema.parse(odd);
    expect(areDisjoint(scope, {})).toBe(false);
    expect(areDisjoint(scope, { constructor: 'z' })).toBe(true);
  });
});

test('a table is shared by those who only add rows, and by those who have no row in common', () => {
  const [adds, owns] = [true, false];
  const share = (shared: boolean, scope: TargetScope = {}) => ({ shared, scope });
  const [acme, globex] = [{ tenant: 'acme' }, { tenant: 'globex' }];
  expect(mayShare(share(adds), share(adds))).toBe(true);
  expect(mayShare(share(adds, acme), share(adds, acme))).toBe(true);
  expect(mayShare(share(adds), share(owns))).toBe(false);
  expect(mayShare(share(owns), share(owns))).toBe(false);
  expect(mayShare(share(owns, acme), share(owns, globex))).toBe(true);
  expect(mayShare(share(adds, acme), share(owns, globex))).toBe(true);
  expect(mayShare(share(adds, acme), share(owns, acme))).toBe(false);
  expect(mayShare(share(owns, acme), share(adds))).toBe(false);
  expect(mayShare(share(owns, acme), share(owns, { ...acme, region: 'eu' }))).toBe(false);
  expect(mayShare(share(owns, acme), share(owns, { region: 'eu' }))).toBe(false);
});

test('half characters are refused: the server would store them all as one', () => {
  expect(targetScopeSchema.safeParse({ tenant: 'a\ud800' }).success).toBe(false);
  expect(targetScopeSchema.safeParse({ 'a\udfff': 'x' }).success).toBe(false);
  expect(targetScopeSchema.safeParse({ tenant: '😀\n' }).success).toBe(true);
});

describe('a value of a scope is as its column prints it, so that equal values are equal texts:', () => {
  test.each([
    ['text', 'Acme ', true],
    ['character varying(4)', 'acme', true],
    ['character varying(4)', 'acme1', false],
    ['integer', 42, true],
    ['integer', '42', true],
    ['integer', '042', false],
    ['integer', '-0', false],
    ['integer', ' 42', false],
    ['smallint', '32768', false],
    ['smallint', '-32768', true],
    ['bigint', '9223372036854775807', true],
    ['bigint', '9223372036854775808', false],
    ['boolean', true, true],
    ['boolean', 't', false],
    ['uuid', '0f0e1a52-7c1f-4f7e-9d52-3c0cf5a5f9aa', true],
    ['uuid', '0F0E1A52-7C1F-4F7E-9D52-3C0CF5A5F9AA', false],
    ['uuid', '{0f0e1a52-7c1f-4f7e-9d52-3c0cf5a5f9aa}', false],
    ['numeric', '1', false],
    ['character(4)', 'acme', false],
    ['citext', 'acme', false],
    ['date', '2026-01-01', false],
    ['text[]', '{}', false],
  ])('%s, %j: %j', (typeName, value, isFine) => {
    const check = () => checkScope({ column: value }, [{ name: 'column', typeName, typeOid: 0 }]);
    if (isFine) expect(check).not.toThrow();
    else
      expect(check).toThrow(expect.objectContaining({ code: 'TARGET_MISMATCH', pointer: '/scope/column' }));
  });
});
