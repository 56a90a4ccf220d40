/** The search attributes of a namespace: registered once, and refused when they are there with another type. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { randomBytes } from 'node:crypto';
import { Pool } from 'pg';
import { searchAttributes } from '../../../src/domain/search-attributes.ts';
import { createDependencyChecks } from '../../../src/workers/dependency-checks.ts';
import { createRunStarter } from '../../../src/workers/temporal/run-starter.ts';
import { registerSearchAttributes } from '../../../src/workers/temporal/search-attributes.ts';
import { plannedRun } from '../../support/run-engine.ts';
import { sharedStack } from '../../support/stack.ts';

let connection: Connection;
beforeAll(async () => {
  connection = await Connection.connect({ address: sharedStack().temporalAddress });
});
afterAll(() => connection?.close());

/** What /readyz says of Temporal. */
const readiness = (temporal: Client): Promise<string> =>
  createDependencyChecks({ pool: new Pool(), checkIndex: async () => {}, temporal })
    .find(({ name }) => name === 'temporal')!
    .check(10_000);

async function createBareNamespace(): Promise<string> {
  const namespace = `bare-${randomBytes(6).toString('hex')}`;
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: proto.google.protobuf.Duration.fromObject({ seconds: 86_400 }),
  });
  return namespace;
}

const listed = async (namespace: string): Promise<string[]> => {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return Object.keys(customAttributes);
};

describe('the search attributes', () => {
  test('are added to a namespace that lacks them, and adding them again changes nothing', async () => {
    const namespace = await createBareNamespace();
    await registerSearchAttributes(connection, namespace);
    await registerSearchAttributes(connection, namespace);
    expect(await listed(namespace)).toEqual(expect.arrayContaining(Object.keys(searchAttributes)));
  });

  test('are registered by many processes at once', async () => {
    const namespace = await createBareNamespace();
    await Promise.all(Array.from({ length: 5 }, () => registerSearchAttributes(connection, namespace)));
    expect(await listed(namespace)).toEqual(expect.arrayContaining(Object.keys(searchAttributes)));
  });

  test('of another type are refused with the name and the right type', async () => {
    const namespace = await createBareNamespace();
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: { Rows: proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD },
    });
    await expect(registerSearchAttributes(connection, namespace)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('Rows=Int') as unknown,
    });
  });

  test('that are missing, or of another type, let no run start, and readiness says which', async () => {
    const namespace = await createBareNamespace();
    const client = new Client({ connection, namespace });
    const starter = createRunStarter({ client, taskQueue: 'penstock' });
    const run = plannedRun();
    const away = {
      code: 'ENGINE_UNREACHABLE',
      message: expect.stringContaining('search attributes') as unknown,
    };
    await expect(starter.start(run)).rejects.toMatchObject(away);
    await expect(readiness(client)).rejects.toMatchObject({
      message: `namespace ${namespace} lacks search attributes, which workers add: ${Object.keys(searchAttributes).join(', ')}`,
    });
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: { Rows: proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_BOOL },
    });
    await expect(registerSearchAttributes(connection, namespace)).rejects.toMatchObject({ code: 'CONFIG' });
    await expect(starter.start(run)).rejects.toMatchObject(away);
    await expect(readiness(client)).rejects.toMatchObject({
      message: `namespace ${namespace} has search attributes of another type: Rows`,
    });
    await connection.operatorService.removeSearchAttributes({ namespace, searchAttributes: ['Rows'] });
    await registerSearchAttributes(connection, namespace);
    expect(await starter.start(run)).toBe('started');
    expect(await readiness(client)).toBe(`namespace ${namespace}`);
  });

  test('of a namespace that does not exist are no question of configuration, but of waiting', async () => {
    const namespace = 'there-is-none';
    await expect(registerSearchAttributes(connection, namespace)).rejects.not.toMatchObject({
      code: 'CONFIG',
    });
    const client = new Client({ connection, namespace });
    await expect(readiness(client)).rejects.toMatchObject({
      message: 'namespace there-is-none does not exist',
    });
    const starter = createRunStarter({ client, taskQueue: 'penstock' });
    await expect(starter.start(plannedRun())).rejects.toMatchObject({ code: 'ENGINE_UNREACHABLE' });
  });
});
