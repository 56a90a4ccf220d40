/**
 * Writers that come late: a message is held at the proxy until another has taken over, and the other one is held in turn
 * until what was late has had its effect. Nothing is then in the late one's way but the rules of the commit protocol.
 */
import { waitUntil } from '../../support/wait-until.ts';
import type { Strike } from './strikes.ts';

/** The partition that a message begins a batch of. */
export const begunPartition = (said: string): string | undefined =>
  /from _penstock\.lease where load = '[^']*' and partition = (\d+)/.exec(said)?.[1];

/** The partition whose lease a message takes: the parameter after the load. */
export const takenPartition = (said: string): string | undefined =>
  said.includes('update _penstock.lease set run = $3')
    ? /lod_[\da-f-]{36}\0\0\0.(\d+)/s.exec(said)?.[1]
    : undefined;

/** The partition that a message commits a batch of: the second value of its checkpoint. */
export const committedPartition = (said: string): string | undefined =>
  said.includes('into _penstock.checkpoint') ? /values \('lod_[^']*', (\d+)/.exec(said)?.[1] : undefined;

export const locksRun = (said: string): boolean => said.includes('select final from _penstock.run');

/** Whether a message locks the run of who finishes the load: what he sees before that decides nothing that may change. */
export const watchFinish = () => {
  let finishing: number | undefined;
  return (said: string, connection: number): boolean => {
    if (said.includes(":finish'")) finishing = connection;
    return connection === finishing && locksRun(said);
  };
};

const latch = () => {
  let isOpen = false;
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    get isOpen() {
      return isOpen;
    },
    open: () => {
      isOpen = true;
      open();
    },
    opened,
  };
};

/** Says when what a statement does is committed: with the message after the one that commits it. */
const watchCommitted = (statement: string) => {
  let said: 'nothing' | 'the statement' | 'commit' = 'nothing';
  return (message: string): boolean => {
    if (said === 'commit') return true;
    if (message.includes(statement)) said = 'the statement';
    else if (said === 'the statement' && message.endsWith('commit\0')) said = 'commit';
    return false;
  };
};

/** Holds the next message of that kind, and starts another copy; the dice say how far that one gets. */
export const late =
  (isHeld: (said: string, connection: number) => boolean): Strike =>
  ({ room: { proxy }, dice, awake, startAnother, areOfOneRun }) => {
    const until = dice.oneOf([
      areOfOneRun ? 'the load is done' : 'its run is ended',
      'its lease is taken',
      'all is done',
    ] as const);
    const [replaced, answered] = [latch(), latch()];
    const letGo = (): void => {
      replaced.open();
      answered.open();
    };
    let held: { connection: number; partition: string | undefined; newest: number } | undefined;
    let mayCommit = false;
    const hasTakenOver = watchCommitted('update _penstock.run set copy_of');
    // Who finishes a load ends his run with it.
    const hasFinished = watchCommitted('insert into _penstock.run (id, final)');
    const isReplaced = (said: string): boolean => {
      if (until === 'its run is ended') return hasTakenOver(said);
      if (until === 'the load is done') return hasFinished(said);
      const begun = until === 'all is done' ? undefined : begunPartition(said);
      return begun !== undefined && begun === (held!.partition ?? begun);
    };
    proxy.intercept('toServer', (chunk, connection) => {
      const said = chunk.toString('latin1');
      if (!held && isHeld(said, connection)) {
        const partition = begunPartition(said) ?? takenPartition(said) ?? committedPartition(said);
        held = { connection, partition, newest: proxy.connections };
        mayCommit = committedPartition(said) !== undefined;
        void startAnother().ended.finally(letGo);
        return replaced.opened;
      }
      if (connection === held?.connection) mayCommit ||= committedPartition(said) !== undefined;
      if (!held || connection <= held.newest || replaced.isOpen || !isReplaced(said)) return 'pass';
      replaced.open();
      return answered.opened;
    });
    proxy.intercept('toClient', (_, connection) => {
      if (replaced.isOpen && mayCommit && connection === held?.connection) answered.open();
      return 'pass';
    });
    const isOver = () => {
      if (held && !proxy.isOpen(held.connection)) answered.open();
      return (replaced.isOpen && answered.isOpen) || awake().length === 0;
    };
    const over = waitUntil('what came late, and what comes of it', isOver, 60_000).finally(() => {
      letGo();
      proxy.mend();
    });
    return { message: 'pass', says: `until ${until}`, over };
  };
