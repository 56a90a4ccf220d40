/** The servers that a benchmark runs on: statements for set-up and proof, and their versions for the report. */
import { Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import type { DevStack } from '../../../src/dev/dev-stack.ts';
import type { Machine } from './bench-report.ts';

/** Runs statements one after the other on one connection; the rows of the last. */
export async function execute(
  url: string,
  ...statements: readonly string[]
): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let last: Record<string, unknown>[] = [];
    for (const sql of statements) last = (await client.query<Record<string, unknown>>(sql)).rows;
    return last;
  } finally {
    await client.end();
  }
}

export async function readVersions({
  postgres,
  redis,
  temporal,
}: DevStack['servers']): Promise<Pick<Machine, 'postgres' | 'redis' | 'temporal'>> {
  return {
    postgres: await readPostgresVersion(postgres.url),
    redis: await readRedisVersion(redis.url),
    temporal: await readTemporalVersion(temporal.address),
  };
}

export async function readTemporalVersion(address: string): Promise<string> {
  const connection = await Connection.connect({ address });
  const { serverVersion } = await connection.workflowService.getSystemInfo({});
  await connection.close();
  return serverVersion ?? 'unknown';
}

export async function readPostgresVersion(url: string): Promise<string> {
  const [shown] = await execute(url, 'show server_version');
  return String(shown?.['server_version']).split(' ')[0]!;
}

export async function readRedisVersion(url: string): Promise<string> {
  const client = new Redis(url);
  const info = await client.info('server');
  client.disconnect();
  return /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown';
}
