/** The whole product as it is deployed, for the tests that break it: servers of its own, roles as built, two workers. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient, type Client as Api } from '../../src/client/index.ts';
import { createSubscribers } from '../../src/dev/demo/subscribers.ts';
import type { DevStack } from '../../src/dev/dev-stack.ts';
import { startDevStack } from '../../src/dev/dev-stack.ts';
import { cacheDir } from '../../src/dev/stack.ts';
import { execute } from './execute.ts';

export interface Product extends DevStack {
  readonly api: Api;
  readonly tenantId: string;
  /** Of the control database's superuser. */
  readonly controlUrl: string;
  /** A database with the table `subscriber`, `sourceRows` rows; copies read it and never change it. */
  readonly sourceDatabase: string;
  readonly discard: () => Promise<void>;
}

/** Enough for hundreds of small batches, so that a fault has a middle to strike in. */
export const sourceRows = 30_000;

/** Starts everything and fills the source. */
export async function startProduct(): Promise<Product> {
  const dataDir = join(cacheDir, '..', 'test', `faults-${process.pid}-${randomBytes(4).toString('hex')}`);
  const dev = await startDevStack({ dataDir, log: () => {}, echoLogs: false });
  const { apiUrl, apiKey, postgresUrl } = dev.addresses();
  const api = createClient({ url: apiUrl, apiKey });
  await execute(postgresUrl, 'create database faults_source');
  await createSubscribers(dev.servers.postgres.urlOf('faults_source'), sourceRows);
  const tenant = await api.tenants.create({ name: 'acme' });
  return {
    ...dev,
    api,
    tenantId: tenant.id,
    controlUrl: dev.servers.postgres.urlOf('penstock'),
    sourceDatabase: 'faults_source',
    discard: async () => {
      await dev.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
