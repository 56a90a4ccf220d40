/** P1, P7: Temporal and Redis go away while a copy runs, and come back. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { startCopy } from './support/copy-under-fault.ts';
import { startProduct, type Product } from '../support/product.ts';
import { faultSeeds, rollDice } from './support/seeds.ts';

let product: Product;
beforeAll(async () => {
  product = await startProduct();
}, 120_000);
afterAll(() => product.discard(), 60_000);

describe('a copy in hand', () => {
  test.each(faultSeeds)(
    'goes on when Temporal is killed and comes back (seed %i)',
    async (seed) => {
      const copy = await startCopy(product, rollDice(seed));
      await copy.untilBatches(copy.moments(1)[0]!);
      await product.servers.temporal.kill();
      await product.servers.temporal.start();
      await copy.expectWhole();
      await copy.close();
    },
    240_000,
  );

  test.each(faultSeeds)(
    'goes on when Redis is killed, with or without its data, and the next run finds a place (seed %i)',
    async (seed) => {
      const dice = rollDice(seed);
      const copy = await startCopy(product, dice);
      await copy.untilBatches(copy.moments(1)[0]!);
      await product.servers.redis.kill();
      if (dice.oneOf([true, false])) await deleteRedisData();
      await product.servers.redis.start();
      await copy.expectWhole();
      await copy.close();
      const next = await startCopy(product, dice);
      await next.expectWhole();
      await next.close();
    },
    180_000,
  );
});

/** The append-only file, as one file (Redis 6) or a folder of them (Redis 7). */
async function deleteRedisData(): Promise<void> {
  for (const name of ['appendonly.aof', 'appendonlydir'])
    await rm(join(product.addresses().dataDir, 'redis', name), { recursive: true, force: true });
}
