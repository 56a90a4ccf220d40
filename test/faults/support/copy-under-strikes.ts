/** One copy in as many processes as it takes: each strike comes with a message to the destination that the seed chooses. */
import { specOfFlags } from '../../../src/cli/copy-spec.ts';
import { newId } from '../../../src/domain/ids.ts';
import type { Receipt } from '../../../src/domain/run-states.ts';
import type { SyncSpec } from '../../../src/domain/sync-spec.ts';
import type { EndedPenstock, PenstockProcess } from '../../support/penstock-process.ts';
import type { FaultRoom } from './fault-room.ts';
import type { Dice } from '../../support/dice.ts';
import { committedPartition, watchMoments } from './moments.ts';
import { strikeNames, strikes, type Scene, type Strike } from './strikes.ts';

interface Struck {
  readonly dice: Dice;
  /** Of `penstock copy`. */
  readonly flags: readonly string[];
  /** Of a copy that nothing strikes, about. */
  readonly batches: number;
  /** Hears what happens, in order. */
  readonly tell: (what: string) => void;
}

const endsWithinMs = 100_000;

/** The receipt of the copy that succeeded. Every process has ended; a failure that is none of the strikes' is thrown. */
export async function copyUnderStrikes(
  room: FaultRoom,
  { dice, flags, batches, tell }: Struck,
): Promise<Receipt> {
  const awake = new Set<PenstockProcess>();
  const frozen = new Set<PenstockProcess>();
  const all = new Set<PenstockProcess>();
  let wake = (): void => {};
  let receipt: Receipt | undefined;
  const failures: string[] = [];

  // Each copy makes those before it final; workers of one run are told apart by their epochs alone.
  const areOfOneRun = dice.oneOf([true, false]);
  tell(areOfOneRun ? 'workers of one run' : 'copies');
  const moments = watchMoments({ areOfOneRun });
  const hearNoMore = room.proxy.hear('toServer', (chunk, n) => moments.hear(chunk.toString('latin1'), n));
  const work = { run: newId('run'), sync: newId('sync'), spec: specOf(flags) };
  const start = (): PenstockProcess => {
    const copy = areOfOneRun
      ? room.startWorker({ ...work, call: all.size + 1 })
      : room.startCopy([...flags, '--once']);
    all.add(copy);
    awake.add(copy);
    void watch(copy);
    return copy;
  };
  const watch = async (copy: PenstockProcess): Promise<void> => {
    const ended = await copy.ended;
    for (const copies of [awake, frozen]) copies.delete(copy);
    receipt ??= receiptOf(ended);
    if (!isExpected(ended)) failures.push(ended.stderr);
    wake();
  };
  const thaw = (): void => {
    for (const copy of frozen) {
      copy.process.kill('SIGCONT');
      awake.add(copy);
    }
    frozen.clear();
  };
  const scene: Scene = {
    room,
    dice,
    awake: () => [...awake],
    freeze: (copy) => {
      copy.process.kill('SIGSTOP');
      awake.delete(copy);
      frozen.add(copy);
    },
    startAnother: start,
    areOfOneRun,
  };
  const isOver = () => receipt !== undefined || failures.length > 0;

  const planned = Array.from({ length: dice.between(1, 4) }, () => ({
    name: dice.oneOf(strikeNames),
    moment: rollMoment(dice, batches),
    // Where there is somebody frozen: he wakes up as this one strikes, or once all is done.
    thaws: dice.oneOf([true, false]),
  }));
  let committed = 0;
  const timer = setTimeout(() => {
    failures.push(
      `It is not done after ${endsWithinMs / 1_000} s.`,
      ...[...all].map(({ said }) => said.stderr),
    );
    for (const { process } of all) process.kill('SIGKILL');
    wake();
  }, endsWithinMs);
  try {
    for (const { name, moment, thaws } of planned) {
      if (isOver()) break;
      if (awake.size === 0) start();
      let struck: ReturnType<Strike> | undefined;
      await new Promise<void>((resolve) => {
        wake = () => (isOver() || awake.size === 0) && resolve();
        const from = moment.of === 'all' ? 0 : committed;
        let messages = 0;
        room.proxy.intercept('toServer', (chunk) => {
          const isDue = committed - from >= moment.batches && ++messages >= moment.message;
          if (committedPartition(chunk.toString('latin1')) !== undefined) committed++;
          if (!isDue || struck) return 'pass';
          room.proxy.mend();
          struck = strikes[name](scene);
          resolve();
          return struck.message;
        });
        wake();
      });
      tell(
        struck
          ? `${[name, struck.says ?? []].flat().join(' ')} in batch ${committed + 1}`
          : `ended before "${name}"`,
      );
      await struck?.over;
      room.proxy.mend();
      if (thaws) thaw();
    }
    while (!isOver()) {
      if (awake.size === 0) start();
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    tell(`${all.size} processes`);
    thaw();
  } finally {
    room.proxy.mend();
    thaw();
    if (failures.length > 0) for (const { process } of all) process.kill('SIGKILL');
    await Promise.all([...all].map((copy) => copy.ended));
    clearTimeout(timer);
    hearNoMore();
  }
  if (failures.length > 0) throw new Error(`A copy failed: ${failures.join('\n')}`);
  moments.expectAll();
  return receipt!;
}

interface Moment {
  /** A message so many after as many batches: of all that were committed, or since the strike before. */
  readonly message: number;
  readonly batches: number;
  readonly of: 'all' | 'since';
}

/** How much a copy says before its first batch, in one batch, and at the end. */
const messages = { preparing: 115, copying: 10, finishing: 50 };

/** Most of them while it copies. */
function rollMoment(dice: Dice, batches: number): Moment {
  const phase = dice.oneOf(['preparing', 'copying', 'copying', 'copying', 'finishing'] as const);
  const message = dice.between(1, messages[phase]);
  if (phase === 'preparing') return { message, batches: 0, of: 'since' };
  if (phase === 'finishing') return { message, batches, of: 'all' };
  return { message, batches: dice.between(1, Math.ceil(batches / 2)), of: 'since' };
}

/** Of flags that have a value each. */
function specOf(flags: readonly string[]): SyncSpec {
  const options: Record<string, string> = { name: 'copy' };
  for (let i = 0; i < flags.length; i += 2)
    options[flags[i]!.slice(2).replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())] = flags[i + 1]!;
  return specOfFlags(options);
}

function receiptOf({ code, stdout }: EndedPenstock): Receipt | undefined {
  return code === 0 ? (JSON.parse(stdout) as { receipt: Receipt }).receipt : undefined;
}

/** Done, killed, replaced by one that was started later, or cut off before it had begun: what comes later it tries again. */
const isExpected = ({ code, stderr }: EndedPenstock): boolean =>
  code === 0 ||
  code === null ||
  /\[(RUN_FINAL|FENCED|DESTINATION_UNREACHABLE|DESTINATION_BUSY|SOURCE_UNREACHABLE|SOURCE_INTERRUPTED)\]/.test(
    stderr,
  );
