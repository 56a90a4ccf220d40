import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { PenstockError } from '../../src/domain/errors.ts';
import type { RunId } from '../../src/domain/ids.ts';
import type { RunToStart } from '../../src/ports/run-starter.ts';
import { admit } from '../../src/schedule/admit.ts';
import { createLauncher, type Start } from '../../src/schedule/launch.ts';
import { createStartQueue } from '../../src/schedule/start-queue.ts';
import { createKeptLogger } from '../support/kept-logger.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Work that ends when the test says so. */
function createWork() {
  const ends: (() => void)[] = [];
  return { work: () => new Promise<void>((resolve) => ends.push(resolve)), ends };
}

describe('starts on their way to the engine', () => {
  // How many it has taken lately: all of them.
  beforeEach(() => {
    jest.spyOn(performance, 'now').mockReturnValue(0);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  test('are so many at once; the others wait their turn, first come first', async () => {
    const queue = createStartQueue(2);
    const order: number[] = [];
    const { work, ends } = createWork();
    const all = [1, 2, 3, 4].map((n) =>
      queue.run(async () => {
        order.push(n);
        await work();
      }),
    );
    expect(order).toEqual([1, 2]);
    ends[1]!();
    await all[1];
    await settled();
    expect(order).toEqual([1, 2, 3]);
    ends[0]!();
    ends[2]!();
    await all[2];
    await settled();
    expect(order).toEqual([1, 2, 3, 4]);
    ends[3]!();
    await Promise.all(all);
  });

  test('come in ahead only as quickly as the engine has lately taken them', async () => {
    const queue = createStartQueue(2);
    const { work, ends } = createWork();
    expect(queue.room()).toBe(2);
    const slow = [queue.run(work), queue.run(work)];
    expect([queue.room(), queue.isLow()]).toEqual([0, false]);
    ends.forEach((end) => end());
    await Promise.all(slow);
    await Promise.all(Array.from({ length: 10 }, () => queue.run(async () => {})));
    expect([queue.room(), queue.isLow()]).toEqual([14, true]);
  });

  test('are worth another batch as soon as one of them could begin at once', async () => {
    const queue = createStartQueue(64);
    const { work, ends } = createWork();
    const all = Array.from({ length: 8 }, () => queue.run(work));
    expect(queue.isLow()).toBe(false);
    ends[0]!();
    await all[0];
    expect(queue.isLow()).toBe(true);
    ends.forEach((end) => end());
    await Promise.all(all);
  });

  test('are few at once until the engine has shown how quick it is', async () => {
    const queue = createStartQueue(64);
    let [now, most] = [0, 0];
    const start = () =>
      queue.run(async () => {
        most = Math.max(most, (now += 1));
        await settled();
        now -= 1;
      });
    const first = Array.from({ length: 8 }, start);
    expect(queue.room()).toBe(0);
    await Promise.all(first);
    expect(most).toBe(8);
    await Promise.all(Array.from({ length: 200 }, start));
    expect(most).toBe(64);
  });

  test('those that fail give up their turn', async () => {
    const queue = createStartQueue(1);
    await expect(
      queue.run(async () => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await expect(queue.run(async () => 'yes')).resolves.toBe('yes');
  });
});

describe('while the engine does not answer', () => {
  const start = (n: number): Start => ({
    run: { runId: `run_${n}` as RunId } as RunToStart,
    ticket: undefined,
    goesOn: false,
  });

  test('only one is asked for all that wait, and all are started once it does', async () => {
    const { logger: log } = createKeptLogger();
    let isAway = true;
    const asked: RunId[] = [];
    const launcher = createLauncher(
      {
        starter: {
          start: async ({ runId }) => {
            asked.push(runId);
            if (isAway) throw new PenstockError('ENGINE_UNREACHABLE', 'away');
            return 'started';
          },
          resume: async () => 'asked',
        },
        index: { confirmStarts: async () => {}, releaseRuns: async () => {} },
        store: { failStart: async () => {} },
        log,
      },
      1,
      () => {},
    );
    launcher.launch([start(1), start(2), start(3)]);
    await launcher.drain();
    expect(asked).toEqual(['run_1']);
    expect([launcher.isStalled(), launcher.room()]).toEqual([true, 0]);
    expect(await launcher.retry()).toBe(false);
    expect(asked).toEqual(['run_1', 'run_1']);
    isAway = false;
    expect(await launcher.retry()).toBe(true);
    expect(asked.slice(2)).toEqual(['run_1', 'run_2', 'run_3']);
  });
});

test('more is not admitted by ones and twos while starts wait: the launcher says when a batch is worth it', async () => {
  const ticket = { runId: 'run_1' as RunId, token: 1 };
  const admitWith = (isLow: boolean) =>
    admit(
      {
        index: {
          admit: async () => ({ tickets: [ticket], filled: 'all', isMore: true, nextInMs: null }),
          confirmStarts: async () => {},
          returnTickets: async () => {},
        },
        store: { startRuns: async () => [{ runId: ticket.runId, verdict: 'at_work' }] },
        launcher: { room: () => 1, isLow: () => isLow, launch: () => {} },
        log: createKeptLogger().logger,
      },
      10,
    );
  expect(await admitWith(false)).toMatchObject({ isMore: false });
  expect(await admitWith(true)).toMatchObject({ isMore: true });
});
