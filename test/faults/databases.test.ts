/** P1, P2, P4: connections to source and destination are cut while rows flow. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { waitUntil } from '../support/wait-until.ts';
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

describe('a copy whose sessions are terminated', () => {
  test.each(faultSeeds)(
    'at the source, reads on after the last committed row (seed %i)',
    async (seed) => {
      const dice = rollDice(seed);
      const copy = await startCopy(product, dice, { wide: true });
      for (const moment of copy.moments(dice.between(1, 3))) {
        await copy.untilBatches(moment);
        await terminateSessions(copy.reader);
      }
      await copy.expectWhole();
      await copy.close();
    },
    180_000,
  );

  test.each(faultSeeds)(
    'at the destination, commits each batch once (seed %i)',
    async (seed) => {
      const dice = rollDice(seed);
      const copy = await startCopy(product, dice);
      for (const moment of copy.moments(dice.between(1, 3))) {
        await copy.untilBatches(moment);
        await terminateSessions(copy.writer);
      }
      const { attempts } = await copy.expectWhole();
      const { items: told } = await product.api.runs.attempts(copy.runId, { limit: 200 });
      expect(told).toHaveLength(attempts);
      expect(told).toContainEqual(
        expect.objectContaining({
          outcome: 'failed',
          error: {
            code: expect.stringMatching(/^(DESTINATION_UNREACHABLE|COMMIT_UNKNOWN)$/),
            message: expect.any(String),
            cure: expect.any(String),
          },
        }),
      );
      await copy.close();
    },
    180_000,
  );
  test.each(faultSeeds)(
    'hears no answer to COMMIT: what the destination has is neither lost nor written again (seed %i)',
    async (seed) => {
      const dice = rollDice(seed);
      const { host, port } = product.servers.postgres;
      const proxy = await startTcpProxy({ host, port });
      const copy = await startCopy(product, dice, { destinationPort: proxy.port });
      for (const moment of copy.moments(dice.between(1, 3))) {
        await copy.untilBatches(moment);
        await cutBeforeAnswerToCommit(proxy);
      }
      await copy.expectWhole();
      await copy.close();
      await proxy.close();
    },
    180_000,
  );
});

/** Lets the next COMMIT through, and cuts the connection when its answer comes. */
async function cutBeforeAnswerToCommit(proxy: TcpProxy): Promise<void> {
  let seen: 'nothing' | 'commit' | 'answer' = 'nothing';
  proxy.intercept('toServer', (chunk) => {
    // In the simple query protocol the text of a statement is in the clear; rows hold no such text.
    if (seen === 'nothing' && chunk.includes('_penstock.checkpoint') && chunk.includes('commit'))
      seen = 'commit';
    return 'pass';
  });
  proxy.intercept('toClient', () => {
    if (seen !== 'commit') return 'pass';
    seen = 'answer';
    return 'cut';
  });
  await waitUntil('an answer to COMMIT that is cut off', () => seen === 'answer');
  proxy.mend();
}

/** Ends every session of a login; waits until there is one to end. */
async function terminateSessions(login: string): Promise<void> {
  await waitUntil(`a session of ${login}`, async () => {
    const ended = await execute<{ ended: boolean }>(
      product.servers.postgres.url,
      'select pg_terminate_backend(pid) as ended from pg_stat_activity where usename = $1',
      [login],
    );
    return ended.some((session) => session.ended);
  });
}
