/**
 * The parent's side of the guard process (guard.mjs): everything started through it ends when this process ends,
 * also when this process is killed with SIGKILL.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PenstockError } from '../domain/errors.ts';
import type { StartRequest } from './guard.mjs';

export type GuardedSpec = Omit<StartRequest, 'id'>;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** For a line that begins with who `ended`. */
export const describeExit = ({ code, signal }: Exit): string =>
  signal ? `by ${signal}` : `with code ${code}`;

/** A process behind the guard. */
export interface GuardedProcess {
  readonly pid: number;
  /** Resolves when the process has ended. */
  readonly exited: Promise<Exit>;
  readonly hasExited: () => boolean;
  /** Sends a signal; a process that has ended gets none. */
  readonly signal: (signal: NodeJS.Signals) => void;
}

interface Pending {
  started: (process: GuardedProcess) => void;
  failed: (error: Error) => void;
  exited: (exit: Exit) => void;
  hasExited: boolean;
  exit: Promise<Exit>;
}

const never = new Promise<never>(() => {});

export class Guard {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #gone: Promise<void>;
  #nextId = 1;

  constructor() {
    this.#child = spawn(process.execPath, [fileURLToPath(new URL('./guard.mjs', import.meta.url))], {
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (this.#child.pid === undefined)
      throw new PenstockError('SERVER_FAILED', 'The guard process did not start.');
    this.pid = this.#child.pid;
    this.#gone = new Promise((resolve) => this.#child.once('exit', () => resolve(this.#lose())));
    this.#child.stdin?.on('error', () => {});
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#hear(line));
  }

  /**
   * Starts a process.
   * @throws PenstockError SERVER_FAILED when the program cannot be run
   */
  start(spec: GuardedSpec): Promise<GuardedProcess> {
    const id = this.#nextId++;
    return new Promise((started, failed) => {
      const pending: Pending = { started, failed, exited: () => {}, hasExited: false, exit: never };
      pending.exit = new Promise((resolve) => (pending.exited = resolve));
      this.#pending.set(id, pending);
      this.#child.stdin?.write(`${JSON.stringify({ start: { id, ...spec } satisfies StartRequest })}\n`);
    });
  }

  /** Stops everything, stage after stage, each process with its own signal and grace. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#gone;
  }

  /** Ends everything at once, for data that nobody wants to keep. */
  async kill(): Promise<void> {
    this.#child.stdin?.write('{"kill":true}\n');
    await this.close();
  }

  #hear(line: string): void {
    const { id, pid, error, exit } = JSON.parse(line) as {
      id: number;
      pid?: number;
      error?: string;
      exit?: Exit;
    };
    const pending = this.#pending.get(id);
    if (!pending) return;
    if (pid !== undefined) pending.started(handleOf(pid, pending));
    if (error !== undefined) pending.failed(new PenstockError('SERVER_FAILED', error));
    if (exit === undefined) return;
    pending.hasExited = true;
    pending.exited(exit);
    this.#pending.delete(id);
  }

  /** The guard has ended, and with it everything it knew of. */
  #lose(): void {
    for (const pending of this.#pending.values()) {
      pending.hasExited = true;
      pending.failed(new PenstockError('SERVER_FAILED', 'The guard process has ended.'));
      pending.exited({ code: null, signal: null });
    }
    this.#pending.clear();
  }
}

/** The process may have ended a moment ago, before the guard could say so. */
function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function handleOf(pid: number, pending: Pending): GuardedProcess {
  return {
    pid,
    exited: pending.exit,
    hasExited: () => pending.hasExited,
    signal: (signal) => {
      if (!pending.hasExited) signalIfAlive(pid, signal);
    },
  };
}
