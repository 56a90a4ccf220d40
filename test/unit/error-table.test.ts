import { expect, test } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { errorTable } from '../../src/domain/errors.ts';

const folder = new URL('../../src/domain/error-table/', import.meta.url);

test('every code of every part is in the table of errors, and in one part only', async () => {
  const parts = readdirSync(folder).filter((file) => file.endsWith('-errors.ts'));
  const modules = await Promise.all(parts.map((file) => import(new URL(file, folder).href)));
  const codes = modules.flatMap((part) => Object.values(part).flatMap((rows) => Object.keys(rows as object)));
  expect(parts.length).toBeGreaterThan(3);
  expect(codes.toSorted()).toEqual(Object.keys(errorTable).toSorted());
});

test.each(Object.entries(errorTable))('%s says what happened, and what to change', (_, { title, cure }) => {
  expect(title).toMatch(/^[A-Z].*[^.]$/);
  expect(cure).toMatch(/^[A-Z].*\.$/);
});
