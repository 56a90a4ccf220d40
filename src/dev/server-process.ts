/** A server behind the guard, with the handles that fault tests need: kill, freeze and start again on the same port. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PenstockError } from '../domain/errors.ts';
import { findFreePort } from './free-port.ts';
import type { Exit, Guard, GuardedProcess, GuardedSpec } from './guard.ts';
import type { PidFile } from './pid-file.ts';
import type { FoundProgram } from './find-program.ts';
import type { ServerName } from './programs.ts';
import { lastLines } from './run-command.ts';

/** What every server of a stack is started with. */
export interface ServerContext {
  readonly dataDir: string;
  readonly program: FoundProgram;
  readonly guard: Guard;
  readonly pidFile: PidFile;
}

/** The handle of a running server. */
export interface ServerHandle {
  /** Of the latest start. */
  readonly pid: () => number;
  /** Resolves when the latest start has ended, however. */
  readonly exited: () => Promise<Exit>;
  /** Sends a signal and waits until the server has ended; SIGKILL by default. */
  readonly kill: (signal?: NodeJS.Signals) => Promise<void>;
  /** Sends a signal and waits for nothing: SIGSTOP, SIGCONT. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Starts it again, on the same port and data; resolves when it answers. */
  readonly start: () => Promise<void>;
}

interface ServerDefinition {
  readonly name: ServerName;
  /** The command for the ports that were chosen. */
  readonly command: (ports: readonly number[]) => Pick<GuardedSpec, 'command' | 'args' | 'uid' | 'gid'>;
  readonly portCount: number;
  readonly stopSignal: NodeJS.Signals;
  readonly graceMs: number;
  /** Resolves when the server answers on its port; rejects while it does not. */
  readonly probe: (ports: readonly number[]) => Promise<void>;
  readonly readyWithinMs: number;
}

/** Servers are stopped after the roles that use them (see guard.mjs). */
const serverStage = 1;

/**
 * Starts the server on free ports and waits until it answers.
 * @throws PenstockError SERVER_FAILED with the end of the server's log
 */
export async function startServer(
  context: ServerContext,
  definition: ServerDefinition,
): Promise<{ handle: ServerHandle; ports: readonly number[] }> {
  for (let attempt = 1; ; attempt++) {
    const ports = await Promise.all(Array.from({ length: definition.portCount }, findFreePort));
    try {
      return { handle: await startOn(ports, context, definition), ports };
    } catch (error) {
      // Between looking at a port and taking it somebody else may have been quicker.
      if (attempt === 3 || !/in use/i.test((error as Error).message)) throw error;
    }
  }
}

async function startOn(
  ports: readonly number[],
  context: ServerContext,
  definition: ServerDefinition,
): Promise<ServerHandle> {
  const { name, stopSignal, graceMs } = definition;
  const logFile = join(context.dataDir, 'logs', `${name}.log`);
  let current: GuardedProcess;
  const start = async () => {
    current = await context.guard.start({
      ...definition.command(ports),
      logFile,
      stopSignal,
      graceMs,
      stage: serverStage,
    });
    context.pidFile.add(name, current.pid, stopSignal);
    await waitUntilReady(current, ports, definition, logFile);
  };
  await start();
  return {
    pid: () => current.pid,
    exited: () => current.exited,
    signal: (signal) => current.signal(signal),
    kill: async (signal = 'SIGKILL') => {
      current.signal(signal);
      await current.exited;
    },
    start,
  };
}

async function waitUntilReady(
  server: GuardedProcess,
  ports: readonly number[],
  { name, probe, readyWithinMs }: ServerDefinition,
  logFile: string,
): Promise<void> {
  const until = Date.now() + readyWithinMs;
  let lastError: unknown;
  while (Date.now() < until && !server.hasExited()) {
    try {
      return await probe(ports);
    } catch (error) {
      lastError = error;
    }
    await delay(25);
  }
  const state = server.hasExited()
    ? 'ended while it started'
    : `does not answer after ${readyWithinMs / 1000} s`;
  if (!server.hasExited()) server.signal('SIGKILL');
  throw new PenstockError(
    'SERVER_FAILED',
    `${name} ${state}; the end of ${logFile}:\n${lastLines(readFileSync(logFile, 'utf8'), 12)}`,
    { cause: lastError },
  );
}
