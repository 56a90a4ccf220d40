/** The peer of a run: a workflow that calls as many activities one after the other, and does nothing else. */
import { proxyActivities } from '@temporalio/workflow';
import type { BareActivities } from './bare-worker.ts';

const { prepare, copy, finish } = proxyActivities<BareActivities>({ startToCloseTimeout: '1m' });

export async function bareRun(): Promise<void> {
  await prepare();
  await copy();
  await finish();
}
