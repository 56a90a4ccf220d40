/**
 * Starts on their way to the engine. As many are under way as it answers within about half a second, so that a slow one is
 * not asked for more than it can answer in time; and behind them wait as many as it has lately taken in a quarter of one,
 * so that a quick engine is worth whole batches, and with a slow one nobody's place in the order is given away early.
 */
export interface StartQueue {
  /** How many more may come in. */
  room(): number;
  /** Whether a batch is worth its round trips: half of what may be inside is not there, or a start could begin at once. */
  isLow(): boolean;
  /** Does the work in its turn. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

const paceMs = 250;
/** Under way at once, however slow the engine is. */
const leastAtOnce = 8;

/** @param mostAtOnce under way, however quick the engine is */
export function createStartQueue(mostAtOnce: number): StartQueue {
  const pace = createPace();
  const waiting: (() => void)[] = [];
  let [inside, atWork] = [0, 0];
  const atOnce = (): number => Math.min(mostAtOnce, Math.max(leastAtOnce, 2 * pace.recent()));
  const space = (): number => atOnce() + pace.recent();
  const letIn = (): void => {
    for (let next = waiting[0]; next && atWork < atOnce(); next = waiting[0]) {
      waiting.shift();
      atWork += 1;
      next();
    }
  };
  return {
    room: () => Math.max(0, space() - inside),
    isLow: () => inside <= Math.max(atOnce() - 1, space() / 2),
    async run(work) {
      inside += 1;
      if (waiting.length === 0 && atWork < atOnce()) atWork += 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        inside -= 1;
        atWork -= 1;
        pace.note();
        letIn();
      }
    },
  };
}

/** How many were noted in the present or the last `paceMs`, whichever was better. */
function createPace(): { note(): void; recent(): number } {
  let [fromMs, before, count] = [performance.now(), 0, 0];
  const roll = (): void => {
    const elapsedMs = performance.now() - fromMs;
    if (elapsedMs < paceMs) return;
    before = elapsedMs < 2 * paceMs ? count : 0;
    [fromMs, count] = [performance.now(), 0];
  };
  return {
    note() {
      roll();
      count += 1;
    },
    recent() {
      roll();
      return Math.max(before, count);
    },
  };
}
