/** One copy in as many processes as it takes: each strike comes with a message to the destination that the seed chooses. */
import type { Receipt } from '../../../src/domain/run-states.ts';
import type { EndedPenstock, PenstockProcess } from '../../support/penstock-process.ts';
import type { FaultRoom } from './fault-room.ts';
import type { Dice } from './seeds.ts';
import { strikeNames, strikes, type Scene } from './strikes.ts';

interface Struck {
  readonly dice: Dice;
  /** Of `penstock copy`. */
  readonly flags: readonly string[];
  /** How much it says to the destination when nothing strikes, about. */
  readonly messages: number;
  /** Hears what happens, in order. */
  readonly tell: (what: string) => void;
}

/** The receipt of the copy that succeeded. Every process has ended; a failure that is none of the strikes' is thrown. */
export async function copyUnderStrikes(
  room: FaultRoom,
  { dice, flags, messages, tell }: Struck,
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

  const planned = Array.from({ length: dice.between(1, 4) }, (_, i) => ({
    name: dice.oneOf(strikeNames),
    message: dice.between(1, i === 0 ? messages : Math.ceil(messages / 2)),
    // Where there is somebody frozen: he wakes up as this one strikes, or once all is done.
    thaws: dice.oneOf([true, false]),
  }));
  try {
    for (const { name, message, thaws } of planned) {
      if (isOver()) break;
      if (awake.size === 0) start();
      let over: Promise<unknown> | undefined;
      await new Promise<void>((resolve) => {
        wake = () => (isOver() || awake.size === 0) && resolve();
        let count = 0;
        room.proxy.intercept('toServer', () => {
          if (++count < message || over) return 'pass';
          room.proxy.mend();
          const struck = strikes[name](scene);
          over = struck.over;
          resolve();
          return struck.message;
        });
        wake();
      });
      tell(over ? `${name} at ${message}` : `ended before "${name}" at ${message}`);
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
  }
  if (failures.length > 0) throw new Error(`A copy failed: ${failures.join('\n')}`);
  return receipt!;
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
