/** The search attributes of a namespace: registered once, and refused when they are there with another type. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { randomBytes } from 'node:crypto';
import { searchAttributes } from '../../../src/domain/search-attributes.ts';
import { registerSearchAttributes } from '../../../src/workers/temporal/search-attributes.ts';
import { sharedStack } from '../../support/stack.ts';

let connection: Connection;
beforeAll(async () => {
  connection = await Connection.connect({ address: sharedStack().temporalAddress });
});
afterAll(() => connection?.close());

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

  test('of a namespace that does not exist are no question of configuration, but of waiting', async () => {
    await expect(registerSearchAttributes(connection, 'there-is-none')).rejects.not.toMatchObject({
      code: 'CONFIG',
    });
  });
});
