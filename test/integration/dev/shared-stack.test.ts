/** What every test file relies on: fresh databases, a fresh Redis and a fresh Temporal namespace. */
import { describe, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { searchAttributes } from '../../../src/domain/search-attributes.ts';
import { createDatabase, createNamespace, createRedisDatabase, sharedStack } from '../../support/stack.ts';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('the shared stack', () => {
  test('gives each caller a database of its own and drops it under an open connection', async () => {
    const [one, other] = await Promise.all([createDatabase(), createDatabase()]);
    expect(one.name).not.toBe(other.name);
    const left = new Client({ connectionString: one.url });
    left.on('error', () => {});
    await left.connect();
    await one.drop();
    await other.drop();
    const names = [one.name, other.name].map((name) => `'${name}'`).join(', ');
    const found = await query(
      sharedStack().postgresUrl,
      `select from pg_database where datname in (${names})`,
    );
    expect(found).toEqual([]);
  });

  test('prepares a template once, however many ask for it at the same time', async () => {
    let prepared = 0;
    const template = {
      name: 'dev_shared_stack',
      prepare: async (url: string) => {
        prepared++;
        await query(url, 'create table things as select generate_series(1, 3) as id');
      },
    };
    const databases = await Promise.all([1, 2, 3].map(() => createDatabase(template)));
    for (const { url } of databases)
      expect(await query(url, 'select count(*)::int as n from things')).toEqual([{ n: 3 }]);
    expect(prepared).toBe(1);
    for (const { drop } of databases) await drop();
  });

  test('copies no template whose preparation failed', async () => {
    const failing = { name: 'dev_failing', prepare: () => Promise.reject(new Error('no such migration')) };
    await expect(createDatabase(failing)).rejects.toThrow('no such migration');
    const mended = await createDatabase({ name: 'dev_failing', prepare: () => Promise.resolve() });
    await mended.drop();
  });

  test('gives each caller an empty Redis database', async () => {
    const [one, other] = await Promise.all([createRedisDatabase(), createRedisDatabase()]);
    expect(one).not.toBe(other);
    const [first, second] = [new Redis(one), new Redis(other)];
    await first.set('{penstock}:due', 1);
    expect(await second.dbsize()).toBe(0);
    first.disconnect();
    second.disconnect();
  });

  test('gives each caller a Temporal namespace with typed search attributes', async () => {
    const { address, namespace } = await createNamespace();
    const connection = await Connection.connect({ address });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    await connection.close();
    expect(Object.keys(customAttributes)).toEqual(expect.arrayContaining(Object.keys(searchAttributes)));
  });
});
