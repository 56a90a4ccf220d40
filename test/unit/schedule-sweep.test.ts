import { expect, test } from '@jest/globals';
import type { RunId } from '../../src/domain/ids.ts';
import type { RunOffer } from '../../src/ports/schedule-index.ts';
import type { PageKey } from '../../src/ports/schedule-store.ts';
import { createSweep, type SweepDeps } from '../../src/schedule/sweep.ts';
import { createKeptLogger } from '../support/kept-logger.ts';

/** Answers every call that is not named with an empty list. */
const portOf = <T extends object>(calls: Partial<T>): T =>
  new Proxy(calls, {
    get: (target, name) => (target as Record<PropertyKey, unknown>)[name] ?? (async () => []),
  }) as T;

test('waiting runs are compared page by page, sweep after sweep to the last, and only strays are judged and offered', async () => {
  const runOf = (n: number) => ({ runId: `run_${n}` }) as RunOffer;
  const asked: number[] = [];
  const judged: (readonly RunId[])[] = [];
  const offered: RunOffer[] = [];
  const sweep = createSweep(
    {
      index: portOf<SweepDeps['index']>({
        findStrays: async (runs) => runs.map(({ runId }) => runId).filter((runId) => runId === 'run_7'),
        offerRuns: async (runs) => void offered.push(...runs),
      }),
      store: portOf<SweepDeps['store']>({
        fetchOverdueSyncs: async () => ({ items: [], next: undefined }),
        fetchDueRuns: async (after?: PageKey) => {
          const n = after ? Number(after[0]) : 0;
          asked.push(n);
          return { items: [runOf(n)], next: n < 24 ? [String(n + 1), ''] : undefined };
        },
        fetchWaitingRuns: async (runIds) => {
          judged.push(runIds);
          return runIds.map((runId) => ({ runId }) as RunOffer);
        },
      }),
      launcher: portOf<SweepDeps['launcher']>({ room: () => 0, launch: () => {} }),
      log: createKeptLogger().logger,
    },
    { overdueMs: 5_000, ticketMs: 30_000, cap: 1 },
  );
  await sweep();
  expect(asked).toEqual(Array.from({ length: 20 }, (_, n) => n));
  expect([judged, offered]).toEqual([[['run_7']], [runOf(7)]]);
  await sweep();
  expect(asked.slice(20)).toEqual([20, 21, 22, 23, 24]);
  await sweep();
  expect(asked[25]).toBe(0);
});
