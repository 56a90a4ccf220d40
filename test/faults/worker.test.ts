/** P1, P2, P3: workers die and freeze while they copy. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findCopyingWorker } from '../../src/dev/demo/kill-worker.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startCopy } from './support/copy-under-fault.ts';
import { startProduct, type Product } from '../support/product.ts';
import { rollDice } from '../support/dice.ts';
import { faultSeeds } from './support/seeds.ts';

let product: Product;
beforeAll(async () => {
  product = await startProduct();
}, 120_000);
afterAll(() => product.discard(), 60_000);

describe('a worker in the middle of a copy', () => {
  test.each(faultSeeds)(
    'is killed: another one goes on, no row is lost or doubled (seed %i)',
    async (seed) => {
      const copy = await startCopy(product, rollDice(seed));
      await copy.untilBatches(copy.moments(1)[0]!);
      process.kill(await findWorker(copy.runId), 'SIGKILL');
      await copy.expectWhole();
      await copy.close();
    },
    300_000,
  );

  test.each(faultSeeds)(
    'is killed with the partitions that it copies: each is taken over, and nobody fences a healthy one (seed %i)',
    async (seed) => {
      const copy = await startCopy(product, rollDice(seed), { parallel: 2 });
      const killed: number[] = [];
      for (const moment of copy.moments(2)) {
        await copy.untilBatches(moment);
        killed.push(await findWorker(copy.runId, killed));
        process.kill(killed.at(-1)!, 'SIGKILL');
      }
      await copy.expectWhole();
      const attempts = await attemptsOf(copy.runId);
      expect(attempts.filter(({ outcome }) => outcome === 'fenced')).toEqual([]);
      expect(new Set(attempts.map(({ partition }) => partition)).size).toBe(8);
      await copy.close();
    },
    300_000,
  );

  test.each(faultSeeds)(
    'freezes beyond its heartbeat: it is replaced, and writes nothing when it thaws (seed %i)',
    async (seed) => {
      const dice = rollDice(seed);
      const copy = await startCopy(product, dice);
      const thawsDuringCopy = dice.oneOf([true, false]);
      await copy.untilBatches(copy.moments(1)[0]!);
      const zombie = await findWorker(copy.runId);
      process.kill(zombie, 'SIGSTOP');
      try {
        const frozenAt = await copy.batches();
        // One batch may still have been on its way when the process froze; two more are another worker's.
        await waitUntil('another worker’s batch', async () => (await copy.batches()) > frozenAt + 1, 150_000);
        if (!thawsDuringCopy) await copy.untilEnd();
      } finally {
        process.kill(zombie, 'SIGCONT');
      }
      await copy.expectWhole();
      await copy.close();
    },
    300_000,
  );
});

const attemptsOf = async (runId: string) => (await product.api.runs.attempts(runId, { limit: 200 })).items;

async function findWorker(runId: string, gone: readonly number[] = []): Promise<number> {
  let pid: number | undefined;
  await waitUntil(
    'an attempt in hand',
    async () => {
      pid = await findCopyingWorker(product.controlUrl, runId);
      return pid !== undefined && !gone.includes(pid);
    },
    60_000,
  );
  return pid!;
}
