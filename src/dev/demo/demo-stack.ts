/** The stack under the demo: fresh at each start, gone at its end. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '../../client/index.ts';
import { startDevStack, type DevStack } from '../dev-stack.ts';
import { takeOwnFolder } from '../own-folder.ts';
import { cacheDir } from '../stack.ts';
import { citiesCredit } from './cities.ts';
import type { Progress } from './progress.ts';
import { type DemoOutcome, runDemo } from './run-demo.ts';

export interface DemoStack extends DevStack {
  /** Stops everything and deletes the data. */
  readonly discard: () => Promise<void>;
}

const parent = join(cacheDir, '..', 'demo');

/**
 * Starts a stack and runs the demo on it; the stack is still up afterwards.
 * @param rows of the generated table
 * @throws PenstockError of the stack or of a step that does not end; nothing is left running then
 */
export async function runDemoOnStack(
  rows: number,
  progress: Progress,
): Promise<{ outcome: DemoOutcome; stack: DemoStack }> {
  const log = (line: string): void => progress.say(`  ${line}`);
  progress.say(`Penstock demo. The places of the world are data of ${citiesCredit}.`);
  const start = progress.begin('PostgreSQL, Redis, Temporal; api, dispatcher and two workers');
  const dataDir = await takeOwnFolder(parent, log);
  const stack = await startDevStack({ dataDir, log, echoLogs: false });
  const discard = async (): Promise<void> => {
    await stack.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  start.end('all up');
  try {
    const { apiUrl, apiKey, postgresUrl, temporalUiUrl } = stack.addresses();
    progress.say(`  while it works: API docs ${apiUrl}/docs, Temporal Web UI ${temporalUiUrl}`);
    const outcome = await Promise.race([
      stack.refused,
      runDemo({
        api: createClient({ url: apiUrl, apiKey }),
        postgresUrl,
        controlUrl: stack.servers.postgres.urlOf('penstock'),
        progress,
        rows,
      }),
    ]);
    return { outcome, stack: { ...stack, discard } };
  } catch (error) {
    await discard();
    throw error;
  }
}
