/**
 * A dispatcher in a process of its own, whose engine only counts: it notes when each run was started, ends it at once and
 * gives its place back, so that nothing but the dispatcher is measured. Its parent asks over the channel that forked it.
 */
import { Pool } from 'pg';
import type { RunId } from '../../../src/domain/ids.ts';
import type { RunToStart } from '../../../src/ports/run-starter.ts';
import { createDispatcher } from '../../../src/schedule/dispatcher.ts';
import { createRedisIndex } from '../../../src/schedule/redis-index.ts';
import { fetchInstallation } from '../../../src/storage/installation.ts';
import { changeRuns } from '../../../src/storage/run-status.ts';
import { createScheduleStore } from '../../../src/storage/schedule-store.ts';
import { asEngine } from '../../../src/storage/transaction.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';

/** A start, and the due time that it belongs to, in ms since the Unix epoch. */
export interface CountedStart {
  readonly dueMs: number;
  readonly atMs: number;
}

export type ToDispatcher = 'stop' | 'report';
export type FromDispatcher = 'stopped' | { readonly starts: readonly CountedStart[] };

const [controlUrl, redisUrl] = process.argv.slice(2);
const pool = new Pool({ connectionString: controlUrl!, max: 10 });
pool.on('error', () => {});
const log = createLogger({ level: 'warn', name: 'counting-dispatcher' });
const index = createRedisIndex({
  url: redisUrl!,
  namespace: await fetchInstallation(pool),
  log,
});
let starts: CountedStart[] = [];
let ended: RunId[] = [];
const tell = (message: FromDispatcher): void => void process.send!(message);

/** Ends what was started since, as workers would: many at a time, beside the dispatcher's work. */
async function endStarted(): Promise<void> {
  const runIds = ended;
  ended = [];
  if (runIds.length === 0) return;
  await asEngine(pool, (tx) => changeRuns(tx, runIds, 'settleCancel'));
  await index.releaseRuns(runIds);
}

const dispatcher = createDispatcher({
  index,
  store: createScheduleStore(pool),
  log,
  options: { globalCap: 10_000 },
  starter: {
    start: async (run: RunToStart) => {
      starts.push({ dueMs: run.dueAtMs, atMs: Date.now() });
      ended.push(run.runId);
      return 'started';
    },
    describe: async () => 'open',
    cancel: async () => 'asked',
    pause: async () => 'asked',
    resume: async () => 'asked',
  },
});
await dispatcher.start();
let ending = Promise.resolve();
const ender = setInterval(() => {
  ending = ending.then(endStarted);
}, 200);

// Without its parent nobody asks any more.
process.once('disconnect', () => process.exit());
process.on('message', (message: ToDispatcher) => {
  if (message === 'report') {
    tell({ starts });
    starts = [];
  } else void stop();
});

async function stop(): Promise<void> {
  clearInterval(ender);
  await dispatcher.stop();
  await ending;
  index.close();
  await pool.end();
  tell('stopped');
  process.disconnect();
}
