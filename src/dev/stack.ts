/**
 * The embedded stack: real PostgreSQL, Redis and Temporal (with its Web UI) on free loopback ports, started side by
 * side, data in one folder, ended with this process however it ends.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DevOptions } from '../config/dev-options.ts';
import { readDevOptions } from '../config/dev-options.ts';
import { findProgram } from './find-program.ts';
import { Guard } from './guard.ts';
import { clearLeftovers, takeDataDir, type PidFile } from './pid-file.ts';
import type { PostgresOptions, PostgresServer } from './postgres-server.ts';
import { startPostgres } from './postgres-server.ts';
import type { ServerName } from './programs.ts';
import { programs, serverNames } from './programs.ts';
import type { RedisServer } from './redis-server.ts';
import { startRedis } from './redis-server.ts';
import type { ServerContext } from './server-process.ts';
import type { TemporalOptions, TemporalServer } from './temporal-server.ts';
import { startTemporal } from './temporal-server.ts';

interface Servers {
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  readonly temporal: TemporalServer;
}

interface ServerOptions {
  readonly postgres?: PostgresOptions;
  readonly temporal?: TemporalOptions;
}

export interface StackOptions<Name extends ServerName> extends ServerOptions {
  /** Everything the servers write; created when needed. One owner at a time. */
  readonly dataDir: string;
  /** Gets one line per server: what was chosen. */
  readonly log: (line: string) => void;
  /** All three by default. */
  readonly servers?: readonly Name[];
  /** By default from the environment. */
  readonly options?: DevOptions;
}

/** A running stack, with the servers that were asked for. */
export type Stack<Name extends ServerName = ServerName> = Pick<Servers, Name> & {
  readonly dataDir: string;
  /** Starts what else should end with this process; stage 0 ends before the servers. */
  readonly guard: Guard;
  /** Notes what is started through the guard, so that a later start can end it. */
  readonly pidFile: PidFile;
  /** Of the running servers and the guard. */
  readonly pids: () => Record<Name | 'guard', number>;
  /** Stops the servers and keeps their data; with `discard`, ends them at once and deletes the folder. */
  readonly stop: (how?: { discard?: boolean }) => Promise<void>;
};

/** The folder of the checkout or the installed package: this file is two levels below it, in src and in dist. */
export const packageDir = fileURLToPath(new URL('../..', import.meta.url));

/** Where installed server programs are kept. */
export const cacheDir = join(packageDir, '.penstock', 'cache');

const starters = {
  postgres: (context: ServerContext, options: ServerOptions) => startPostgres(context, options.postgres),
  redis: (context: ServerContext) => startRedis(context),
  temporal: (context: ServerContext, options: ServerOptions) => startTemporal(context, options.temporal),
};

/**
 * Finds (or installs) the programs and starts the servers; resolves when all answer.
 * @throws PenstockError SERVER_MISSING, SERVER_FAILED, DATA_DIR_IN_USE, CONFIG; nothing is left running then
 */
export async function startStack<Name extends ServerName = ServerName>(
  stackOptions: StackOptions<Name>,
): Promise<Stack<Name>> {
  const { log, options = readDevOptions() } = stackOptions;
  const names = stackOptions.servers ?? (serverNames as readonly ServerName[] as readonly Name[]);
  const dataDir = resolve(stackOptions.dataDir);
  await mkdir(join(dataDir, 'logs'), { recursive: true });
  const pidFile = await takeDataDir(dataDir, log);
  const guard = new Guard();
  pidFile.add('guard', guard.pid, 'SIGTERM');

  const startOne = async (name: Name) => {
    const program = await findProgram(programs[name], { options, cacheDir, log });
    const context: ServerContext = { dataDir, program, guard, pidFile };
    return [name, await starters[name](context, stackOptions)] as const;
  };
  const results = await Promise.allSettled(names.map(startOne));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) {
    await guard.close();
    pidFile.remove();
    throw failed.reason;
  }
  const started = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const servers = Object.fromEntries(started) as unknown as Pick<Servers, Name>;

  return {
    ...servers,
    dataDir,
    guard,
    pidFile,
    pids: () =>
      Object.fromEntries([
        ...started.map(([name, server]) => [name, server.pid()]),
        ['guard', guard.pid],
      ]) as Record<Name | 'guard', number>,
    stop: async ({ discard = false } = {}) => {
      await (discard ? guard.kill() : guard.close());
      await clearLeftovers(dataDir, log);
      pidFile.remove();
      if (discard) await rm(dataDir, { recursive: true, force: true });
    },
  };
}
