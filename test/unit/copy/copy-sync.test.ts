import { expect, test } from '@jest/globals';
import { copySyncIdOf } from '../../../src/domain/ids.ts';

test('copies into one table are the same by name and scope, in whatever order it is written', () => {
  const ids = [
    copySyncIdOf('app.users', 'copy'),
    copySyncIdOf('app.users', 'other'),
    copySyncIdOf('app.users', 'copy', { tenant: 'acme' }),
    copySyncIdOf('app.users', 'copy', { tenant: 'globex' }),
    copySyncIdOf('app.users', 'copy', { tenant: 'acme', region: 1 }),
  ];
  expect(new Set(ids).size).toBe(ids.length);
  expect(copySyncIdOf('app.users', 'copy', { region: '1', tenant: 'acme' })).toBe(ids[4]);
  expect(copySyncIdOf('app.users', 'copy', {})).toBe(ids[0]);
});
