/** Faults that strike a copy as it says something to its destination, and what happens next. */
import type { PenstockProcess } from '../../support/penstock-process.ts';
import { execute } from '../../support/execute.ts';
import { waitUntil } from '../../support/wait-until.ts';
import type { FaultRoom } from './fault-room.ts';
import { late } from './late.ts';
import {
  begunPartition,
  commits,
  committedPartition,
  locksRun,
  takenPartition,
  watchFinish,
} from './moments.ts';
import type { Dice } from '../../support/dice.ts';

export interface Scene {
  readonly room: FaultRoom;
  readonly dice: Dice;
  /** Copies that neither ended nor are frozen; the newest last. */
  readonly awake: () => readonly PenstockProcess[];
  readonly freeze: (copy: PenstockProcess) => void;
  readonly startAnother: () => PenstockProcess;
  /** What is started are workers of one run; else copies, each of which ends the run of the one before. */
  readonly areOfOneRun: boolean;
}

/** Called as the message comes by. Decides what becomes of it at once; what it begins ends with the promise. */
export type Strike = (scene: Scene) => {
  message: 'pass' | 'drop' | 'cut';
  over: Promise<unknown>;
  /** What the dice have decided beside. */
  says?: string;
};

const done = Promise.resolve();

const endSessions = (url: string): Promise<unknown> =>
  execute(
    url,
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`,
  );

/** Servers that end by that signal, and come back. */
const restart =
  (signal: NodeJS.Signals, ...names: ('server' | 'sourceServer')[]): Strike =>
  ({ room }) => ({
    message: 'pass',
    over: Promise.all(names.map((name) => room[name].kill(signal).then(() => room[name].start()))),
  });

export const strikes = {
  'killed before it said so': ({ awake }) => {
    for (const { process } of awake()) process.kill('SIGKILL');
    return { message: 'drop', over: done };
  },
  'killed after it said so': ({ awake }) => {
    for (const { process } of awake()) process.kill('SIGKILL');
    return { message: 'pass', over: done };
  },
  'frozen, and another started': ({ awake, freeze, startAnother }) => {
    for (const copy of awake()) freeze(copy);
    startAnother();
    return { message: 'pass', over: done };
  },
  'late to begin a batch': late((said) => begunPartition(said) !== undefined),
  'late to commit a batch': late((said) => committedPartition(said) !== undefined),
  // Copies end each other's runs, and are told so as they lock it; workers of one run hear it from the lease.
  'late to take a lease': (scene) =>
    late((said) => (scene.areOfOneRun ? takenPartition(said) !== undefined : locksRun(said)))(scene),
  'late to finish': (scene) => late(watchFinish())(scene),
  'another started beside it': ({ startAnother }) => {
    startAnother();
    return { message: 'pass', over: done };
  },
  'sessions ended at the destination': ({ room }) => ({
    message: 'pass',
    over: endSessions(room.destinationUrl),
  }),
  'sessions ended at the source': ({ room }) => ({ message: 'pass', over: endSessions(room.sourceUrl) }),
  'connection reset': () => ({ message: 'cut', over: done }),
  'all connections reset': ({ room }) => {
    room.proxy.cut('reset');
    return { message: 'drop', over: done };
  },
  'no answer to COMMIT': ({ room: { proxy }, awake }) => {
    let seen: 'nothing' | 'commit' | 'answer' = 'nothing';
    proxy.intercept('toServer', (chunk) => {
      if (commits(chunk.toString('latin1'))) seen = 'commit';
      return 'pass';
    });
    proxy.intercept('toClient', () => {
      if (seen !== 'commit') return 'pass';
      seen = 'answer';
      return 'cut';
    });
    const isOver = () => seen === 'answer' || awake().length === 0;
    return { message: 'pass', over: waitUntil('an answer to COMMIT', isOver).finally(() => proxy.mend()) };
  },
  'destination crashed': restart('SIGQUIT', 'server'),
  'destination restarted': restart('SIGINT', 'server'),
  'both servers crashed': restart('SIGQUIT', 'server', 'sourceServer'),
  'both servers restarted': restart('SIGINT', 'server', 'sourceServer'),
} satisfies Record<string, Strike>;

export type StrikeName = keyof typeof strikes;
export const strikeNames = Object.keys(strikes) as StrikeName[];
