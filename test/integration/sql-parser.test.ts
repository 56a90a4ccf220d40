/** The parser of a process that has seen much. In a process of its own: beside a heap as large as a test's each loss costs a second. */
import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const built = new URL('../../dist/sources/postgres/parse-query.js', import.meta.url).href;

test('queries that are nested too deeply for the parser take no other query with them', async () => {
  // Without anything being done about it the parser can parse nothing any more after some thirty.
  const script = `
    import { parseQuery } from ${JSON.stringify(built)};
    const deep = 'select 1' + '+1'.repeat(45_000);
    const told = new Set();
    for (let i = 0; i < 40; i++) await parseQuery(deep).catch(({ code, message }) => told.add(code + ': ' + message));
    const queries = [deep, 'select a from t', deep, 'select b from t'];
    const others = await Promise.allSettled(queries.map((query) => parseQuery(query)));
    process.stdout.write(JSON.stringify({ told: [...told], others: others.map(({ status }) => status) }));`;
  const node = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  expect(JSON.parse(node.stdout)).toEqual({
    told: ['SOURCE_SQL: The query is nested too deeply.'],
    others: ['rejected', 'fulfilled', 'rejected', 'fulfilled'],
  });
});
