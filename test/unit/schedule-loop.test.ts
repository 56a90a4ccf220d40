import { afterEach, describe, expect, test } from '@jest/globals';
import { startLoop, type Loop } from '../../src/schedule/loop.ts';
import { createKeptLogger } from '../support/kept-logger.ts';
import { waitUntil } from '../support/wait-until.ts';

const loops: Loop[] = [];
afterEach(() => Promise.all(loops.splice(0).map((loop) => loop.stop())));

/** A loop of steps that end when the test says so. */
function start(step: (n: number) => Promise<number>, restMs = 0) {
  const { logger: log, lines } = createKeptLogger();
  const counts = { begun: 0 };
  const loop = startLoop({
    name: 'probe',
    log,
    restMs,
    step: () => {
      counts.begun += 1;
      return step(counts.begun);
    },
  });
  loops.push(loop);
  return { loop, lines, counts };
}

const hourMs = 3_600_000;

describe('a loop', () => {
  test('steps at once, and again at once while there is more', async () => {
    const { counts } = start(async (n) => (n < 5 ? 0 : hourMs));
    await waitUntil('five steps', () => counts.begun === 5);
  });

  test('a wake-up ends the wait', async () => {
    const { loop, counts } = start(async () => hourMs);
    await waitUntil('the first step', () => counts.begun === 1);
    loop.wake();
    await waitUntil('the second step', () => counts.begun === 2);
  });

  test('a wake-up during a step is not lost', async () => {
    let finish = (): void => {};
    const { loop, counts } = start(async (n) => {
      if (n === 1) await new Promise<void>((resolve) => (finish = resolve));
      return hourMs;
    });
    loop.wake();
    finish();
    await waitUntil('the second step', () => counts.begun === 2);
  });

  test('wake-ups one after the other share a step while it rests', async () => {
    const { loop, counts } = start(async () => hourMs, 200);
    await waitUntil('the first step', () => counts.begun === 1);
    for (let n = 0; n < 100; n += 1) {
      loop.wake();
      await Promise.resolve();
    }
    await waitUntil('the second step', () => counts.begun === 2);
    await loop.stop();
    expect(counts.begun).toBe(2);
  });

  test('a step that fails is done again, with one line when it begins to fail and one when it works', async () => {
    const { lines, counts } = start(async (n) => {
      if (n <= 3) throw new Error('no luck');
      return hourMs;
    });
    await waitUntil('it works', () => counts.begun === 4 && lines.length === 2);
    expect(lines[0]).toContain('probe: a step failed');
    expect(lines[1]).toContain('probe: works again');
  });

  test('stops after the step in hand, also while it waits', async () => {
    let isDone = false;
    const { loop, counts } = start(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      isDone = true;
      return hourMs;
    });
    await loop.stop();
    expect(isDone).toBe(true);
    expect(counts.begun).toBe(1);
    loop.wake();
    expect(counts.begun).toBe(1);
  });
});
