/**
 * Starts on their way to the engine: so many at once, and behind them as many as it has lately taken in a quarter of a
 * second. So a quick engine is worth whole batches, and with a slow one nobody's place in the order is given away early.
 */
export interface StartQueue {
  /** How many more may come in. */
  room(): number;
  /** Does the work in its turn. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

const paceMs = 250;

/** @param concurrency how many are at work at once */
export function createStartQueue(concurrency: number): StartQueue {
  const pace = createPace();
  const waiting: (() => void)[] = [];
  let inside = 0;
  return {
    room: () => Math.max(0, concurrency + pace.recent() - inside),
    async run(work) {
      inside += 1;
      if (inside > concurrency) await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        inside -= 1;
        pace.note();
        waiting.shift()?.();
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
