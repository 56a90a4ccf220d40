/** A worker in a process of its own, as the SDK makes one, whose activities do nothing. It ends with its parent's channel. */
import { fileURLToPath } from 'node:url';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { bundleWorkflows } from '../../../src/workers/build-workflow-bundle.ts';

const nothing = async (): Promise<void> => {};
const activities = { prepare: nothing, copy: nothing, finish: nothing };
export type BareActivities = typeof activities;

const [address, taskQueue] = process.argv.slice(2);
const silent = (): void => {};
Runtime.install({
  shutdownSignals: [],
  logger: { log: silent, trace: silent, debug: silent, info: silent, warn: silent, error: silent },
});
const connection = await NativeConnection.connect({ address: address! });
const code = await bundleWorkflows(fileURLToPath(new URL('bare-workflow.ts', import.meta.url)));
const worker = await Worker.create({
  connection,
  taskQueue: taskQueue!,
  workflowBundle: { code },
  activities,
});
process.once('disconnect', () => worker.shutdown());
process.send!('ready');
await worker.run();
await connection.close();
