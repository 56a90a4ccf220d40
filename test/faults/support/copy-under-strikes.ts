/** One copy in as many processes as it takes: each strike comes with a message to the destination that the seed chooses. */
import type { Receipt } from '../../../src/domain/run-states.ts';
import type { EndedPenstock, PenstockProcess } from '../../support/penstock-process.ts';
import type { FaultRoom } from './fault-room.ts';
import type { Dice } from '../../support/dice.ts';
import { strikeNames, strikes, type Scene } from './strikes.ts';

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

  const start = (): void => {
    const copy = room.startCopy([...flags, '--once']);
    all.add(copy);
    awake.add(copy);
    void watch(copy);
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
      let over: Promise<unknown> | undefined;
      await new Promise<void>((resolve) => {
        wake = () => (isOver() || awake.size === 0) && resolve();
        const from = moment.of === 'all' ? 0 : committed;
        let messages = 0;
        room.proxy.intercept('toServer', (chunk) => {
          const isDue = committed - from >= moment.batches && ++messages >= moment.message;
          if (chunk.includes('into _penstock.checkpoint')) committed++;
          if (!isDue || over) return 'pass';
          room.proxy.mend();
          const struck = strikes[name](scene);
          over = struck.over;
          resolve();
          return struck.message;
        });
        wake();
      });
      tell(over ? `${name} in batch ${committed + 1}` : `ended before "${name}"`);
      await over;
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
  }
  if (failures.length > 0) throw new Error(`A copy failed: ${failures.join('\n')}`);
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

function receiptOf({ code, stdout }: EndedPenstock): Receipt | undefined {
  return code === 0 ? (JSON.parse(stdout) as { receipt: Receipt }).receipt : undefined;
}

/** Done, killed, replaced by one that was started later, or cut off before it had begun: what comes later it tries again. */
const isExpected = ({ code, stderr }: EndedPenstock): boolean =>
  code === 0 ||
  code === null ||
  /\[(RUN_FINAL|DESTINATION_UNREACHABLE|DESTINATION_BUSY|SOURCE_UNREACHABLE|SOURCE_INTERRUPTED)\]/.test(
    stderr,
  );
