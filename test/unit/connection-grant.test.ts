/** What a grant covers: tables by a pattern whose only wildcard stays inside of a name, and rows by a scope. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { findUngranted, matchesTable } from '../../src/domain/connection-grant.ts';

describe('a pattern', () => {
  test.each([
    ['sync.acme_*', 'sync.acme_users', true],
    ['sync.acme_*', 'sync.acme_', true],
    ['sync.acme_*', 'sync.acme2_users', false],
    ['sync.acme_*', 'sync.acmeXusers', false],
    ['sync.acme_*', 'sync.Acme_users', false],
    ['sync.acme_*', 'Sync.acme_users', false],
    ['sync.acme_*', 'syncXacme_users', false],
    ['sync.acme_*', 'acme_users', false],
    ['sync.acme_*', 'sync.acme_users.more', false],
    ['sync.users', 'sync.users', true],
    ['sync.users', 'sync.users2', false],
    ['sync.*_acme', 'sync._acme', true],
    ['sync.ab*bc', 'sync.abc', false],
    ['sync.*a*b*', 'sync.xaxbx', true],
    ['sync.*a*b*', 'sync.xbxax', false],
    ['*.acme', 'any.acme', true],
    ['*.*', 'any.thing', true],
    ['sync.a%', 'sync.abc', false],
    ['sync.[a-z]', 'sync.b', false],
    ['sync.a?', 'sync.ab', false],
  ])('%s, %s: %j', (pattern, table, isMatch) => {
    expect(matchesTable(pattern, table)).toBe(isMatch);
  });

  test('matches what a regular expression made of it does', () => {
    const name = fc.stringMatching(/^[ab*]{1,6}$/);
    fc.assert(
      fc.property(name, name, fc.stringMatching(/^[ab]{1,8}$/), (schema, table, given) => {
        const regexp = new RegExp(`^${table.replaceAll('*', '[^.]*')}$`);
        expect(matchesTable(`x.${table}`, `x.${given}`)).toBe(regexp.test(given));
        expect(matchesTable(`${schema}.x`, `${given}.y`)).toBe(false);
      }),
    );
  });
});

describe('a sync is covered', () => {
  const grant = { tablePattern: 'sync.users', scope: { tenant: 42 } };
  const destination = { table: 'sync.users' };

  test.each([
    ['with the scope of the grant', { destination, scope: { tenant: 42 } }, null],
    ['with that and more of it', { destination, scope: { tenant: '42', region: 'eu' } }, null],
    ['but not without it', { destination }, '/scope/tenant'],
    ['nor with another', { destination, scope: { tenant: 43 } }, '/scope/tenant'],
    ['nor with what every object has', { destination, scope: { constructor: 42 } }, '/scope/tenant'],
    [
      'nor where its table has no schema',
      { destination: { table: 'users' }, scope: { tenant: 42 } },
      '/destination/table',
    ],
    [
      'nor where it keeps the table before under another name',
      { destination, keepPrevious: true },
      '/keepPrevious',
    ],
  ])('%s', (_, spec, pointer) => {
    expect(findUngranted(grant, spec)?.pointer ?? null).toBe(pointer);
  });
});
