/** Processes of a test's own: the command `penstock`, from `dist/`, and others. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { childEnvironment } from '../../src/config/child-environment.ts';

export interface EndedPenstock {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface PenstockProcess {
  readonly process: ChildProcess;
  /** What it has printed so far. */
  readonly said: { stdout: string; stderr: string };
  readonly ended: Promise<EndedPenstock>;
}

/** Starts `penstock` with these arguments; the environment is ours, with what is given and without PG*. */
export const startPenstock = (args: readonly string[], env: Record<string, string> = {}): PenstockProcess =>
  startNode(['dist/cli/main.js', ...args], env);

/** The same of Node. */
export function startNode(args: readonly string[], env: Record<string, string> = {}): PenstockProcess {
  const child = spawn(process.execPath, args, {
    env: { ...childEnvironment({}), ...env },
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (bytes: Buffer) => (said.stdout += bytes));
  child.stderr.on('data', (bytes: Buffer) => (said.stderr += bytes));
  return {
    process: child,
    said,
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, ...said })),
  };
}
