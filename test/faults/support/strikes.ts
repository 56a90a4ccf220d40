/** Faults that strike a copy as it says something to its destination, and what happens next. */
import type { PenstockProcess } from '../../support/penstock-process.ts';
import { execute } from '../../support/execute.ts';
import { waitUntil } from '../../support/wait-until.ts';
import type { FaultRoom } from './fault-room.ts';
import type { Dice } from '../../support/dice.ts';

export interface Scene {
  readonly room: FaultRoom;
  readonly dice: Dice;
  /** Copies that neither ended nor are frozen; the newest last. */
  readonly awake: () => readonly PenstockProcess[];
  readonly freeze: (copy: PenstockProcess) => void;
  readonly startAnother: () => PenstockProcess;
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
      where datname = current_database() and application_name like 'penstock%'`,
  );

/** A server that ends by that signal, and comes back. */
const restart =
  (signal: NodeJS.Signals): Strike =>
  ({ room: { server } }) => ({
    message: 'pass',
    over: server.kill(signal).then(() => server.start()),
  });

/** Of a message that begins a batch: the partition. */
const begunPartition = (said: string): string | undefined =>
  /from _penstock\.lease where load = '[^']*' and partition = (\d+)/.exec(said)?.[1];
const commitsBatch = (said: string): boolean => said.includes('into _penstock.checkpoint');

const latch = () => {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
};

/**
 * The next message of that kind is held at the proxy, and another copy is started. Once that one is where the dice say, it
 * waits in turn, until what was held has arrived and had its effect: so the late one is always between its replacement's
 * taking over and its first batch, where nothing but the protocol's rules is in its way.
 */
const late =
  (isHeld: (said: string) => boolean): Strike =>
  ({ room: { proxy }, dice, awake, startAnother }) => {
    const until = dice.oneOf(['its run is ended', 'its lease is taken', 'all is done'] as const);
    const [replaced, answered] = [latch(), latch()];
    let held: { connection: number; partition: string | undefined; newest: number } | undefined;
    let isReplaced = false;
    let isAnswered = false;
    let mayCommit = false;
    /** Of who takes over from earlier copies: about to, and having done it. */
    let takesOver: 'not' | 'soon' | 'now' = 'not';
    const answer = (): void => {
      isAnswered = true;
      answered.open();
    };
    const replace = (): void => {
      isReplaced = true;
      replaced.open();
    };
    const isThere = (said: string): boolean => {
      if (until === 'its lease is taken')
        return (
          begunPartition(said) !== undefined &&
          begunPartition(said) === (held!.partition ?? begunPartition(said))
        );
      if (until === 'all is done') return false;
      if (takesOver === 'now') return true;
      if (said.includes('update _penstock.run set copy_of')) takesOver = 'soon';
      else if (takesOver === 'soon') takesOver = 'now';
      return false;
    };
    proxy.intercept('toServer', (chunk, connection) => {
      const said = chunk.toString('latin1');
      if (!held && isHeld(said)) {
        held = { connection, partition: begunPartition(said), newest: proxy.connections };
        mayCommit = commitsBatch(said);
        void startAnother().ended.finally(() => (replace(), answer()));
        return replaced.opened;
      }
      if (connection === held?.connection) mayCommit ||= commitsBatch(said);
      if (!held || connection <= held.newest || isReplaced || !isThere(said)) return 'pass';
      replace();
      return answered.opened;
    });
    proxy.intercept('toClient', (_, connection) => {
      if (isReplaced && mayCommit && connection === held?.connection) answer();
      return 'pass';
    });
    const isOver = () => {
      if (held && !proxy.isOpen(held.connection)) answer();
      return (isReplaced && isAnswered) || awake().length === 0;
    };
    return {
      message: 'pass',
      says: `until ${until}`,
      over: waitUntil('what came late, and what comes of it', isOver, 60_000).finally(
        () => (replace(), answer(), proxy.mend()),
      ),
    };
  };

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
  'late to commit a batch': late(commitsBatch),
  'late to lock its run': late((said) => said.includes('insert into _penstock.run (id) values')),
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
      // In the simple query protocol the text of a statement is in the clear; rows hold no such text.
      if (chunk.includes('commit')) seen = 'commit';
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
  'destination crashed': restart('SIGQUIT'),
  'destination restarted': restart('SIGINT'),
} satisfies Record<string, Strike>;

export type StrikeName = keyof typeof strikes;
export const strikeNames = Object.keys(strikes) as StrikeName[];
