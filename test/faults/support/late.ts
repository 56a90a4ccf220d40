/**
 * Writers that come late: a message is held at the proxy until another has taken over, and the other one is held in turn
 * until what was late has had its effect. Nothing is then in the late one's way but the rules of the commit protocol.
 */
import { waitUntil } from '../../support/wait-until.ts';
import {
  begunPartition,
  committedPartition,
  takenPartition,
  watchFinalRun,
  watchTakeOver,
} from './moments.ts';
import type { Strike } from './strikes.ts';

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
    const takenOver = watchTakeOver();
    // Who finishes a load ends his run with it.
    const finished = watchFinalRun();
    const isReplaced = (said: string): boolean => {
      if (until === 'its run is ended') return takenOver(said) === 'committed';
      if (until === 'the load is done') return finished(said) === 'committed';
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
