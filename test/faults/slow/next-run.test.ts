/** P1, P7: a run that cannot go on by itself says why, and the next one goes on where it was. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execute } from '../../support/execute.ts';
import { rollDice } from '../../support/dice.ts';
import { startProduct, type Product } from '../../support/product.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { startCopy, type CopyUnderFault } from '../support/copy-under-fault.ts';
import { faultSeeds } from '../support/seeds.ts';

let product: Product;
beforeAll(async () => {
  product = await startProduct();
}, 120_000);
afterAll(() => product.discard(), 60_000);

/**
 * An append without a cursor: the next run finishes its load, and has no other to begin. Its rows are wide, so that the
 * source is still read.
 */
async function startAppend(seed: number): Promise<CopyUnderFault> {
  const copy = await startCopy(product, rollDice(seed), { mode: 'append', wide: true });
  await copy.untilBatches(copy.moments(1)[0]!);
  return copy;
}

const administer = (sql: string): Promise<unknown> => execute(product.servers.postgres.url, sql);
const endSessions = (login: string): Promise<unknown> =>
  administer(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '${login}'`);

describe.each(['source', 'destination'] as const)(
  'a password of the %s that is changed during a copy',
  (end) => {
    const loginOf = (copy: CopyUnderFault): string => (end === 'source' ? copy.reader : copy.writer);

    test.each(faultSeeds)(
      'and of its connection too, is what the next session of the same run logs in with (seed %i)',
      async (seed) => {
        const copy = await startAppend(seed);
        await copy.changePassword(end, 'another');
        await administer(`alter role ${loginOf(copy)} password 'another'`);
        await endSessions(loginOf(copy));
        await copy.expectWhole();
        await copy.close();
      },
      300_000,
    );

    test.each(faultSeeds)(
      'fails the run, as its attempts tell; once its connection is changed too, the next run goes on (seed %i)',
      async (seed) => {
        const copy = await startAppend(seed);
        await administer(`alter role ${loginOf(copy)} password 'another'`);
        await endSessions(loginOf(copy));
        const code = end === 'source' ? 'SOURCE_AUTH' : 'DESTINATION_AUTH';
        await waitUntil(
          'an attempt that tells it',
          async () => {
            const { items } = await product.api.runs.attempts(copy.runId, { limit: 200 });
            return items.some(({ outcome, error }) => outcome === 'failed' && error?.code === code);
          },
          60_000,
        );
        // A run is made final at the destination first, so that it waits to be let in, and says so.
        if (end === 'destination')
          await waitUntil('the run tells what it waits for', async () => {
            const { status, retry } = await product.api.runs.fetch(copy.runId);
            const isTold = retry?.step === 'close' && retry.code === code && /password/.test(retry.cure);
            return status === 'running' && isTold;
          });
        await copy.changePassword(end, 'another');
        expect(await copy.untilEnd()).toMatchObject({ status: 'failed', error: { code } });
        await copy.runAgain();
        await copy.expectWhole();
        await copy.close();
      },
      300_000,
    );
  },
);
