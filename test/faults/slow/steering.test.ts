/** Runs are steered while what they stand on does not answer: in bounded time, by a dispatcher and workers as built. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { Client } from 'pg';
import { rollDice } from '../../support/dice.ts';
import { startProduct, type Product } from '../../support/product.ts';
import { startCopy } from '../support/copy-under-fault.ts';
import { faultSeeds } from '../support/seeds.ts';

const minuteMs = 60_000;

let product: Product;
beforeAll(async () => {
  product = await startProduct();
}, 120_000);
afterAll(() => product.discard(), 60_000);

/** Whatever writes the target waits for this session. */
async function lockTarget(destinationUrl: string): Promise<{ end(): Promise<void> }> {
  const client = new Client({ connectionString: destinationUrl });
  await client.connect();
  await client.query('begin; lock table public.subscriber in share mode');
  return client;
}

test.each(faultSeeds)(
  'a run whose batch is held up by a lock is cancelled within a minute, and the next one finishes its load (seed %i)',
  async (seed) => {
    const copy = await startCopy(product, rollDice(seed), { mode: 'append', wide: true });
    await copy.untilBatches(copy.moments(1)[0]!);
    const locker = await lockTarget(copy.destinationUrl);
    await product.api.runs.of(copy.runId).cancel();
    expect(await copy.untilEnd(minuteMs)).toMatchObject({ status: 'cancelled' });
    await locker.end();
    await copy.runAgain();
    await copy.expectWhole();
    await copy.close();
  },
  300_000,
);

test.each(faultSeeds)(
  'a workflow that is terminated behind our back shows within a minute (seed %i)',
  async (seed) => {
    const copy = await startCopy(product, rollDice(seed), { mode: 'append', wide: true });
    await copy.untilBatches(copy.moments(1)[0]!);
    const connection = await Connection.connect({ address: product.servers.temporal.address });
    await connection.workflowService.terminateWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: copy.workflowId },
      reason: 'by the test',
    });
    await connection.close();
    expect(await copy.untilEnd(minuteMs)).toMatchObject({
      status: 'failed',
      error: { code: 'WORKFLOW_GONE' },
    });
    await copy.runAgain();
    await copy.expectWhole();
    await copy.close();
  },
  300_000,
);
