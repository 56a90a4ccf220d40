/** Kills the worker process that is copying, the hard way, and measures how long the run stood still. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';

export interface Kill {
  readonly pid: number;
  /** Batches that were committed when the worker died. */
  readonly batches: number;
  /** From the kill to the next committed batch. */
  readonly standstillSeconds: number;
}

interface Watched {
  readonly runId: string;
  /** Of the control database: it knows which process works on the run. */
  readonly controlUrl: string;
  /** Of the destination, where nothing else is copied meanwhile: its checkpoints are the committed batches. */
  readonly destinationUrl: string;
  /** Whether the run has ended, so that there is nothing more to wait for. */
  readonly isOver: () => Promise<boolean>;
}

/**
 * Waits until the run has committed so many batches, kills its worker, and waits for the next batch.
 * @param onKill called right after the kill
 * @returns undefined when the run was over before
 */
export async function killCopyingWorker(
  watched: Watched,
  afterBatches: number,
  onKill: (pid: number) => void,
): Promise<Kill | undefined> {
  const destination = new Client({ connectionString: watched.destinationUrl });
  await destination.connect();
  try {
    const atStart = await countBatches(destination);
    if (!(await untilBatches(destination, watched, atStart + afterBatches))) return undefined;
    const pid = await findCopyingWorker(watched.controlUrl, watched.runId);
    if (pid === undefined) return undefined;
    process.kill(pid, 'SIGKILL');
    const killedMs = performance.now();
    onKill(pid);
    await untilSessionsGone(destination);
    const batches = await countBatches(destination);
    await untilBatches(destination, watched, batches + 1);
    return { pid, batches: batches - atStart, standstillSeconds: (performance.now() - killedMs) / 1000 };
  } finally {
    await destination.end();
  }
}

/** Resolves to whether there are so many; false when the run is over with fewer. */
async function untilBatches(destination: Client, watched: Watched, wanted: number): Promise<boolean> {
  for (;;) {
    for (let look = 0; look < 20; look++) {
      if ((await countBatches(destination)) >= wanted) return true;
      await delay(25);
    }
    if (await watched.isOver()) return (await countBatches(destination)) >= wanted;
  }
}

/** A commit that was on its way has arrived when the dead worker's session has ended. */
async function untilSessionsGone(destination: Client): Promise<void> {
  for (;;) {
    const { rowCount } = await destination.query(
      `select from pg_stat_activity where datname = current_database() and application_name like 'penstock:%'`,
    );
    if (rowCount === 0) return;
    await delay(25);
  }
}

async function countBatches(destination: Client): Promise<number> {
  const { rows } = await destination.query<{ batches: number }>(
    'select count(*)::int as batches from _penstock.checkpoint',
  );
  return rows[0]?.batches ?? 0;
}

/**
 * The process that has the run's newest attempt in hand: workers are called `<pid>@<host>`.
 * @param controlUrl of the control database
 */
export async function findCopyingWorker(controlUrl: string, runId: string): Promise<number | undefined> {
  const control = new Client({ connectionString: controlUrl });
  await control.connect();
  try {
    const { rows } = await control.query<{ worker: string }>(
      `select worker from penstock.run_attempt where run_id = $1 and ended_at is null order by epoch desc limit 1`,
      [runId],
    );
    const pid = Number.parseInt(rows[0]?.worker ?? '', 10);
    return Number.isInteger(pid) ? pid : undefined;
  } finally {
    await control.end();
  }
}
