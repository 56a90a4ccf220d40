/**
 * Options of the embedded servers (`penstock dev`, the demo, the tests), as data. Servers in production are given by
 * the other options; these only say which programs to run on this machine.
 */

interface DevOption {
  readonly env: string;
  readonly doc: string;
}

export const devOptionTable = {
  postgresBin: {
    env: 'PENSTOCK_POSTGRES_BIN',
    doc: 'Folder that holds initdb and postgres, version 14 or later.',
  },
  redisServer: { env: 'PENSTOCK_REDIS_SERVER', doc: 'Path of redis-server, version 6.2 or later.' },
  temporalCli: { env: 'PENSTOCK_TEMPORAL_CLI', doc: 'Path of the Temporal CLI, version 1.9 or later.' },
  ignorePath: {
    env: 'PENSTOCK_IGNORE_PATH',
    doc: '1: do not look for servers on PATH; use the project’s own cache.',
  },
} as const satisfies Record<string, DevOption>;

/** What the embedded servers need to know; absent paths mean "find one". */
export interface DevOptions {
  readonly postgresBin: string | undefined;
  readonly redisServer: string | undefined;
  readonly temporalCli: string | undefined;
  readonly ignorePath: boolean;
  /** The folders of PATH, in order. */
  readonly searchPath: readonly string[];
}

/** Reads the options from the environment. An empty variable counts as absent. */
export function readDevOptions(env: NodeJS.ProcessEnv = process.env): DevOptions {
  const text = (option: DevOption) => env[option.env]?.trim() || undefined;
  return {
    postgresBin: text(devOptionTable.postgresBin),
    redisServer: text(devOptionTable.redisServer),
    temporalCli: text(devOptionTable.temporalCli),
    ignorePath: ['1', 'true', 'yes'].includes((text(devOptionTable.ignorePath) ?? '').toLowerCase()),
    searchPath: (env['PATH'] ?? '').split(':').filter((folder) => folder !== ''),
  };
}
