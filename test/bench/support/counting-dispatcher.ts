/**
 * A dispatcher in a process of its own that notes when each run was started: in an engine, where its address is given, else
 * nowhere. No run ever ends, and there is a place for each. Its parent asks over the channel that forked it.
 */
import { Client, Connection } from '@temporalio/client';
import { Pool } from 'pg';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import type { TenantId } from '../../../src/domain/ids.ts';
import type { RunToStart } from '../../../src/ports/run-starter.ts';
import { createDispatcher } from '../../../src/schedule/dispatcher.ts';
import { createRedisIndex } from '../../../src/schedule/redis-index.ts';
import { fetchInstallation } from '../../../src/storage/installation.ts';
import { createScheduleStore } from '../../../src/storage/schedule-store.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createRunStarter } from '../../../src/workers/temporal/run-starter.ts';
import { taskQueue } from './engine-starts.ts';

/** A start, and the due time that it belongs to, in ms since the Unix epoch. */
export interface CountedStart {
  readonly tenantId: TenantId;
  readonly dueMs: number;
  readonly atMs: number;
}

/** The answer to `report` is a list of `CountedStart`, those since the last. */
export type ToDispatcher = 'stop' | 'report';

const [controlUrl, redisUrl, ticket, engineAddress] = process.argv.slice(2);
/** A run that stays `starting` for longer is started again. */
const ticketMs = Number(ticket);
const pool = new Pool({ connectionString: controlUrl!, max: 10 });
pool.on('error', () => {});
const log = createLogger({ level: 'warn', name: 'counting-dispatcher' });
const index = createRedisIndex({
  address: parseRedisUrl(redisUrl!),
  namespace: await fetchInstallation(pool),
  log,
  ticketMs,
});
let starts: CountedStart[] = [];
const engine =
  engineAddress &&
  createRunStarter({
    client: new Client({ connection: await Connection.connect({ address: engineAddress }) }),
    taskQueue,
  });

const dispatcher = createDispatcher({
  index,
  store: createScheduleStore(pool),
  log,
  options: { globalCap: 10_000_000, ticketMs },
  starter: {
    start: async (run: RunToStart) => {
      const answer = engine ? await engine.start(run) : 'started';
      starts.push({ tenantId: run.tenantId, dueMs: run.dueAtMs, atMs: Date.now() });
      return answer;
    },
    hasWorker: async () => true,
    describe: async () => ({ state: 'open', pausedSteps: [] }),
    cancel: async () => 'asked',
    terminate: async () => {},
    pause: async () => 'asked',
    resume: async () => 'asked',
  },
});
await dispatcher.start();
// Without its parent nobody asks any more.
process.once('disconnect', () => process.exit());
process.on('message', (message: ToDispatcher) => {
  if (message === 'report') {
    process.send!(starts);
    starts = [];
  } else void stop();
});

async function stop(): Promise<void> {
  await dispatcher.stop();
  index.close();
  await pool.end();
  process.disconnect();
}
