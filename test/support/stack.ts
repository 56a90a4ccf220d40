/**
 * What a test file gets from the stack that its Jest worker shares among files: its own Postgres databases, its own Redis
 * database and its own Temporal namespace, all fresh. Tests that kill or freeze a server start one of their own with
 * `startStack`.
 */
import { randomBytes } from 'node:crypto';
import { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { searchAttributes } from '../../src/domain/search-attributes.ts';

export interface SharedStack {
  /** Of the superuser, database `postgres`. */
  readonly postgresUrl: string;
  readonly redisUrl: string;
  readonly redisDatabases: number;
  readonly temporalAddress: string;
  readonly temporalUiUrl: string;
}

/** Jest's workers are processes of their own, which inherit the environment. */
const variable = 'PENSTOCK_TEST_STACKS';

/** Tells the test files where the stacks are, one for each of Jest's workers; called by Jest's global set-up. */
export function publishStacks(stacks: readonly SharedStack[]): void {
  process.env[variable] = JSON.stringify(stacks);
}

/** The stack of this Jest worker: files that run at the same time never see each other's sessions, locks or roles. */
export function sharedStack(): SharedStack {
  const published = process.env[variable];
  if (published === undefined)
    throw new Error('No shared stack: tests that need servers belong to the Jest project "full".');
  const stacks = JSON.parse(published) as SharedStack[];
  const stack = stacks[Number(process.env['JEST_WORKER_ID']) - 1];
  if (!stack)
    throw new Error(`No stack for Jest's worker ${process.env['JEST_WORKER_ID']} of ${stacks.length}.`);
  return stack;
}

/** Makes a database ready: migrations, tables, rows. Gets its URL. */
export type Prepare = (url: string) => Promise<void>;

export interface TestDatabase {
  readonly name: string;
  /** Of the superuser. */
  readonly url: string;
  /** Drops it, ending whatever is still connected. */
  readonly drop: () => Promise<void>;
}

/**
 * A fresh database. With a template: the first caller of that name in this run prepares it, all others copy it.
 * @param template its name must change when `prepare` does something else
 */
export async function createDatabase(template?: { name: string; prepare: Prepare }): Promise<TestDatabase> {
  const name = `t_${randomBytes(8).toString('hex')}`;
  const drop = () => administer((admin) => admin.query(`drop database if exists "${name}" with (force)`));
  await administer(async (admin) => {
    if (template) await prepareTemplate(admin, template.name, template.prepare);
    await admin.query(
      `create database "${name}" ${template ? `template "${templateName(template.name)}"` : ''}`,
    );
  });
  return { name, url: databaseUrl(name), drop: async () => void (await drop()) };
}

const databaseUrl = (name: string): string => {
  const url = new URL(sharedStack().postgresUrl);
  url.pathname = `/${name}`;
  return url.href;
};

const templateName = (name: string): string => `template_${name}`;

/** Prepared under another name and renamed when done, so that a failed preparation is never copied. */
async function prepareTemplate(admin: Client, name: string, prepare: Prepare): Promise<void> {
  await admin.query('select pg_advisory_lock(hashtext($1))', [name]);
  try {
    const found = await admin.query('select from pg_database where datname = $1', [templateName(name)]);
    if (found.rowCount) return;
    const draft = `draft_${name}`;
    await admin.query(`drop database if exists "${draft}" with (force)`);
    await admin.query(`create database "${draft}"`);
    await prepare(databaseUrl(draft));
    await admin.query(`alter database "${draft}" rename to "${templateName(name)}"`);
  } finally {
    await admin.query('select pg_advisory_unlock(hashtext($1))', [name]);
  }
}

async function administer<T>(work: (admin: Client) => Promise<T>): Promise<T> {
  const admin = new Client({ connectionString: sharedStack().postgresUrl });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

/** The URL of an empty Redis database that no other test file has. */
export async function createRedisDatabase(): Promise<string> {
  const { redisUrl, redisDatabases } = sharedStack();
  const redis = new Redis(redisUrl);
  try {
    // Database 0 only counts.
    const number = await redis.incr('penstock:test:last-database');
    if (number >= redisDatabases)
      throw new Error(`All ${redisDatabases} Redis databases of this run are taken.`);
    return `${redisUrl}/${number}`;
  } finally {
    redis.disconnect();
  }
}

const { IndexedValueType } = proto.temporal.api.enums.v1;
const indexedTypes = {
  Keyword: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
  Int: IndexedValueType.INDEXED_VALUE_TYPE_INT,
  Datetime: IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
} as const;

export interface TestNamespace {
  readonly address: string;
  readonly namespace: string;
}

/** A fresh Temporal namespace that has Penstock's search attributes; on the shared server unless another is named. */
export async function createNamespace(server?: string): Promise<TestNamespace> {
  const address = server ?? sharedStack().temporalAddress;
  const namespace = `t-${randomBytes(8).toString('hex')}`;
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: proto.google.protobuf.Duration.fromObject({ seconds: 86_400 }),
    });
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(
        Object.entries(searchAttributes).map(([name, type]) => [name, indexedTypes[type]]),
      ),
    });
  } finally {
    await connection.close();
  }
  return { address, namespace };
}
