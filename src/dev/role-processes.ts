/** Keeps role processes running: one that ends is started again, after a pause that grows while it keeps ending. */
import { setTimeout as delay } from 'node:timers/promises';
import { PenstockError } from '../domain/errors.ts';
import { describeExit, type Guard, type GuardedProcess, type GuardedSpec } from './guard.ts';
import type { PidFile } from './pid-file.ts';

interface RoleProcess {
  /** Of this process alone, for logs and the pid file: `worker-2`. */
  readonly name: string;
  readonly role: string;
  readonly spec: Pick<GuardedSpec, 'command' | 'args' | 'env' | 'logFile' | 'echo'>;
}

interface RoleOptions {
  readonly guard: Guard;
  readonly pidFile: PidFile;
  readonly processes: readonly RoleProcess[];
  readonly log: (line: string) => void;
  /** Called when the pids have changed. */
  readonly onChange: () => void;
}

export interface RoleProcesses {
  /** The running ones, by role. */
  readonly pids: () => Record<string, number[]>;
  /** Rejects when a role refuses its configuration: starting it again would not help. */
  readonly refused: Promise<never>;
  /** Starts nothing again from now on; the guard's end then drains what runs. */
  readonly letGo: () => void;
}

const firstPauseMs = 250;
const longestPauseMs = 10_000;
/** Having run this long, a process counts as healthy, and the pause starts small again. */
const healthyAfterMs = 30_000;
/** SIGTERM lets a worker commit the batch in hand; a batch ends after 5 s at the latest. */
const drainMs = 30_000;
/** EX_CONFIG of sysexits.h: an option is missing or wrong. */
const exitConfig = 78;
/** Roles are stopped before the servers that they use (see guard.mjs). */
const roleStage = 0;

/** Starts the processes side by side; resolves when each has been started once. */
export async function startRoles(options: RoleOptions): Promise<RoleProcesses> {
  const running = new Map<string, { role: string; process: GuardedProcess }>();
  const end = new AbortController();
  let refuse: (error: Error) => void = () => {};
  const refused = new Promise<never>((_, reject) => (refuse = reject));
  refused.catch(() => {});

  const start = async ({ name, role, spec }: RoleProcess) => {
    const process = await options.guard.start({
      ...spec,
      stopSignal: 'SIGTERM',
      graceMs: drainMs,
      stage: roleStage,
    });
    options.pidFile.add(name, process.pid, 'SIGTERM');
    running.set(name, { role, process });
    options.onChange();
    return process;
  };

  const keep = async (member: RoleProcess, first: GuardedProcess) => {
    let pauseMs = firstPauseMs;
    for (let process = first; ; process = await start(member)) {
      const startedMs = Date.now();
      const exit = await process.exited;
      running.delete(member.name);
      if (end.signal.aborted) return;
      options.onChange();
      if (exit.code === exitConfig)
        return refuse(new PenstockError('CONFIG', `${member.name} refuses its configuration; see its log`));
      if (Date.now() - startedMs > healthyAfterMs) pauseMs = firstPauseMs;
      options.log(`${member.name} (${process.pid}) ended ${describeExit(exit)}; starting it again`);
      await delay(pauseMs, undefined, { signal: end.signal });
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
  };

  await Promise.all(
    options.processes.map(async (member) => {
      const first = await start(member);
      // Ends by letGo (AbortError) or because the guard is gone; neither needs an answer.
      keep(member, first).catch(() => {});
    }),
  );
  return { pids: () => pidsByRole(running.values()), refused, letGo: () => end.abort() };
}

function pidsByRole(running: Iterable<{ role: string; process: GuardedProcess }>): Record<string, number[]> {
  const pids: Record<string, number[]> = {};
  for (const { role, process } of running) (pids[role] ??= []).push(process.pid);
  return pids;
}
