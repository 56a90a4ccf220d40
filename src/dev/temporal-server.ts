/** The Temporal dev server with its Web UI on loopback ports, its state in `<data-dir>/temporal`. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { searchAttributes } from '../domain/search-attributes.ts';
import { longFlags } from './run-command.ts';
import type { ServerContext, ServerHandle } from './server-process.ts';
import { startServer } from './server-process.ts';

export interface TemporalServer extends ServerHandle {
  /** host:port of the gRPC front end. */
  readonly address: string;
  readonly uiUrl: string;
}

const host = '127.0.0.1';

/**
 * Fairness is off by default, and exact only with one partition of a task queue; priorities need the new matcher
 * (the default since server 1.31, named here so that it does not depend on it).
 */
const dynamicConfig = {
  'matching.useNewMatcher': true,
  'matching.enableFairness': true,
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
} as const;

const flags = {
  ip: host,
  'ui-ip': host,
  'log-level': 'error',
  'ui-disable-news-fetch': true,
  'disable-config-file': true,
  'disable-config-env': true,
} as const;

export interface TemporalOptions {
  /** Settings of the server beside those that Penstock wants, such as limits that a test wants low. */
  readonly dynamicConfig?: Readonly<Record<string, number | boolean>>;
}

/** Starts the Temporal dev server; workflows of an earlier start go on. */
export async function startTemporal(
  context: ServerContext,
  options: TemporalOptions = {},
): Promise<TemporalServer> {
  const folder = join(context.dataDir, 'temporal');
  await mkdir(folder, { recursive: true });
  const { handle, ports } = await startServer(context, {
    name: 'temporal',
    portCount: 2,
    command: ([port, uiPort]) => ({
      command: context.program.file,
      args: [
        'server',
        'start-dev',
        ...longFlags({ ...flags, 'db-filename': join(folder, 'temporal.db') }),
        ...longFlags({ port: port!, 'ui-port': uiPort! }),
        ...Object.entries(searchAttributes).flatMap(([name, type]) => [
          '--search-attribute',
          `${name}=${type}`,
        ]),
        ...Object.entries({ ...dynamicConfig, ...options.dynamicConfig }).flatMap(([key, value]) => [
          '--dynamic-config-value',
          `${key}=${value}`,
        ]),
      ],
    }),
    stopSignal: 'SIGTERM',
    graceMs: 10_000,
    probe: ([port]) => probe(`${host}:${port}`),
    readyWithinMs: 30_000,
  });
  return { ...handle, address: `${host}:${ports[0]}`, uiUrl: `http://${host}:${ports[1]}` };
}

/** Ready means: the default namespace is there, with its search attributes. */
async function probe(address: string): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: '2s' });
  try {
    const namespace = 'default';
    await connection.workflowService.describeNamespace({ namespace });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = Object.keys(searchAttributes).filter((name) => !(name in customAttributes));
    if (missing.length > 0) throw new Error(`search attributes not registered yet: ${missing.join(', ')}`);
  } finally {
    await connection.close();
  }
}
