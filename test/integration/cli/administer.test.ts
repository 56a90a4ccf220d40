/** From an empty database to a key that opens the API, by the command line alone. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { Pool } from 'pg';
import { childEnvironment } from '../../../src/config/child-environment.ts';
import { createApiKeyStore } from '../../../src/storage/api-key-store.ts';
import { listMigrations } from '../../../src/storage/migrate.ts';
import { compareSearchAttributes } from '../../../src/workers/temporal/search-attributes.ts';
import { createDatabase, sharedStack, type TestDatabase } from '../../support/stack.ts';

/** Nobody listens there. */
const nowhere = '127.0.0.1:1';

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
    const first = await penstock(['migrate', '--json', '--temporal-address', nowhere]);
    expect(JSON.parse(first.stdout)).toEqual({ applied: await listMigrations(), temporal: 'unreachable' });
    expect((await penstock(['migrate', '--temporal-address', nowhere])).stdout).toBe(
      `nothing to apply\nTemporal at ${nowhere} does not answer: workers add its search attributes when they start\n`,
    );
  });

  test('gives a bare namespace the search attributes that runs need', async () => {
    const temporalAddress = sharedStack().temporalAddress;
    const connection = await Connection.connect({ address: temporalAddress });
    const namespace = `bare-${randomBytes(6).toString('hex')}`;
    try {
      await connection.workflowService.registerNamespace({
        namespace,
        workflowExecutionRetentionPeriod: proto.google.protobuf.Duration.fromObject({ seconds: 86_400 }),
      });
      const flags = ['--temporal-address', temporalAddress, '--temporal-namespace', namespace];
      expect((await penstock(['migrate', ...flags])).stdout).toContain(
        `${namespace} has its search attributes`,
      );
      expect(await compareSearchAttributes(connection, namespace)).toEqual({ missing: [], wrong: [] });
    } finally {
      await connection.close();
    }
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
