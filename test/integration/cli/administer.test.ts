/** From an empty database to a key that opens the API, by the command line alone. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Pool } from 'pg';
import { childEnvironment } from '../../../src/config/child-environment.ts';
import { createApiKeyStore } from '../../../src/storage/api-key-store.ts';
import { listMigrations } from '../../../src/storage/migrate.ts';
import { createDatabase, type TestDatabase } from '../../support/stack.ts';

const execute = promisify(execFile);
let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const penstock = (args: string[], databaseUrl = database.url) =>
  execute(process.execPath, ['dist/cli/main.js', ...args], { env: childEnvironment({ databaseUrl }) });

interface Failure {
  code: number;
  stdout: string;
  stderr: string;
}
const failureOf = (promise: Promise<unknown>): Promise<Failure> =>
  promise.then(
    () => Promise.reject(new Error('it should have failed')),
    (error: Failure) => error,
  );

describe('the command line', () => {
  test('migrates an empty database, and says so when there is nothing to do', async () => {
    const first = await penstock(['migrate', '--json']);
    expect(JSON.parse(first.stdout)).toEqual({ applied: await listMigrations() });
    expect((await penstock(['migrate'])).stdout).toBe('nothing to apply\n');
  });

  test('makes a key that the API knows as an operator’s', async () => {
    const { stdout } = await penstock(['keys', 'create', '--name', 'first', '--role', 'editor', '--json']);
    const { id, key } = JSON.parse(stdout) as { id: string; key: string };
    const pool = new Pool({ connectionString: database.url });
    try {
      expect(await createApiKeyStore(pool).authenticate(key)).toEqual({
        apiKeyId: id,
        role: 'editor',
        tenantId: null,
      });
    } finally {
      await pool.end();
    }
  });

  test('without a database says in one line what to set, and ends with 78', async () => {
    const failure = await failureOf(penstock(['migrate'], ''));
    expect(failure.code).toBe(78);
    expect(failure.stderr).toMatch(/^penstock: databaseUrl is missing: set PENSTOCK_DATABASE_URL.*\n$/);
  });

  test('refuses a role that there is not', async () => {
    const failure = await failureOf(penstock(['keys', 'create', '--role', 'king']));
    expect([failure.code, failure.stdout]).toEqual([78, '']);
    expect(failure.stderr).toMatch(
      /^penstock: --role must be one of viewer, operator, editor, admin, not "king"/,
    );
  });
});
