/**
 * What a copy says to its destination at each moment that a strike waits for: known by the text of its statements. A text that
 * has changed is noticed: who hears all of it is told which moment never came.
 */

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

type Said = 'nothing' | 'the statement' | 'commit' | 'committed';

/** Says how far the commit of a statement is: `committed` comes with the message after the one that commits it. */
const watchCommit = (statement: string) => {
  let said: Said = 'nothing';
  return (message: string): Said => {
    if (said === 'commit') said = 'committed';
    else if (said !== 'committed' && message.includes(statement)) said = 'the statement';
    else if (said === 'the statement' && message.endsWith('commit\0')) said = 'commit';
    return said;
  };
};

/** A copy has ended the run of the one before. */
export const watchTakeOver = () => watchCommit('update _penstock.run set copy_of');
/** A run is made final. */
export const watchFinalRun = () => watchCommit('insert into _penstock.run (id, final)');

/** In the simple query protocol the text of a statement is in the clear; rows hold no such text. */
export const commits = (said: string): boolean => said.includes('commit');

type Heard = (said: string, connection: number) => boolean;

export interface WatchedMoments {
  /** Hears each message to the destination, in order. */
  readonly hear: (said: string, connection: number) => void;
  /** Fails unless each moment has come: there is none without which a load is done. */
  readonly expectAll: () => void;
}

/** @param areOfOneRun of workers, which end nobody's run to begin theirs */
export function watchMoments({ areOfOneRun }: { areOfOneRun: boolean }): WatchedMoments {
  const [takenOver, final] = [watchTakeOver(), watchFinalRun()];
  const awaited = new Map<string, Heard>([
    ['begins a batch', (said) => begunPartition(said) !== undefined],
    ['takes a lease', (said) => takenPartition(said) !== undefined],
    ['commits a batch', (said) => committedPartition(said) !== undefined],
    ['locks its run', locksRun],
    ['locks its run as it finishes', watchFinish()],
    ['has made its run final', (said) => final(said) === 'commit'],
    ['commits', commits],
    ...(areOfOneRun ? [] : [['has taken over', (said: string) => takenOver(said) === 'commit'] as const]),
  ]);
  return {
    hear: (said, connection) => {
      for (const [moment, isNow] of awaited) if (isNow(said, connection)) awaited.delete(moment);
    },
    expectAll: () => {
      if (awaited.size > 0)
        throw new Error(
          `No strike can come as a copy ${[...awaited.keys()].join(', or ')}: no message was known to be that. The text of a statement has changed; test/faults/support/moments.ts knows it by another.`,
        );
    },
  };
}
