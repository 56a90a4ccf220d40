/** P1, P7: Temporal, Redis and Postgres go away while a copy runs, and come back. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startCopy } from './support/copy-under-fault.ts';
import { execute } from '../support/execute.ts';
import { startProduct, type Product } from '../support/product.ts';
import { rollDice } from '../support/dice.ts';
import { faultSeeds } from './support/seeds.ts';

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

const faults = {
  'all workers killed': async () => {
    for (const pid of product.addresses().pids['worker']!) process.kill(pid, 'SIGKILL');
  },
  'its sessions terminated': async (login: string) => {
    const sql = 'select pg_terminate_backend(pid) from pg_stat_activity where usename = $1';
    await execute(product.servers.postgres.url, sql, [login]);
  },
  'the server crashed': async () => {
    await product.servers.postgres.kill('SIGQUIT');
    await product.servers.postgres.start();
  },
};

test.each(faultSeeds)(
  'a mirror whose workers, sessions and destination die while it deletes has forgotten no key, and deletes each chunk once (seed %i)',
  async (seed) => {
    const dice = rollDice(seed);
    const mirror = await startCopy(product, dice, { mode: 'mirror' });
    let chunks = 0;
    for (const left = Object.values(faults); left.length > 0;) {
      const [strike] = left.splice(dice.between(0, left.length - 1), 1);
      await mirror.untilDeleted(chunks);
      await strike!(mirror.writer);
      chunks += dice.between(1, 8);
    }
    await mirror.expectWhole();
    await mirror.close();
  },
  300_000,
);

/** The append-only file, as one file (Redis 6) or a folder of them (Redis 7). */
async function deleteRedisData(): Promise<void> {
  const folder = join(product.addresses().dataDir, 'redis');
  const kept = (await readdir(folder)).filter((name) => ['appendonly.aof', 'appendonlydir'].includes(name));
  expect(kept).not.toEqual([]);
  for (const name of kept) await rm(join(folder, name), { recursive: true });
}
