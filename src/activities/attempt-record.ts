/**
 * The row of one attempt in the control database, and its rate. The copying does not depend on it: while the control
 * database is away, rows go on flowing and the numbers follow later.
 */
import { hasCode } from '../domain/errors.ts';
import type { AttemptEnd, AttemptKey, RunStore } from '../ports/run-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { CopyHeartbeat, Counts } from './contract.ts';

export interface AttemptRecord {
  /** Where the partition stands, all attempts together; the first call says where this one began. */
  note(total: Counts): void;
  /** Where the partition stands; undefined before anything is known. */
  readonly total: Counts | undefined;
  /** By this attempt. */
  readonly committed: Counts;
  /** When this attempt last committed, in ISO 8601; undefined before it has. */
  readonly lastBatchAt: string | undefined;
  /** For the heartbeat. */
  describe(): CopyHeartbeat | undefined;
  /** Reports what has changed; called every second. */
  report(): void;
  end(end: AttemptEnd): Promise<void>;
}

/** An attempt without news reports this often all the same: a run that does not move is looked into. */
const aliveEveryMs = 15_000;

type Store = Pick<RunStore, 'reportAttempt' | 'endAttempt'>;

/** Follows an attempt that has begun. */
export function followAttempt(key: AttemptKey, runs: Store, logger: Logger): AttemptRecord {
  const startedMs = Date.now();
  let first: Counts | undefined;
  let total: Counts | undefined;
  let lastBatchAt: string | undefined;
  let reported = { batches: 0, atMs: startedMs };
  let reporting = false;

  const committed = (): Counts => ({
    rows: (total?.rows ?? 0) - (first?.rows ?? 0),
    batches: (total?.batches ?? 0) - (first?.batches ?? 0),
    bytes: (total?.bytes ?? 0) - (first?.bytes ?? 0),
  });
  const unrecorded = (err: unknown): void => {
    // Said once a minute for all that need the database.
    if (hasCode(err, 'UNAVAILABLE')) return;
    logger.warn({ err, run: key.runId, partition: key.partition }, 'an attempt is not recorded for now');
  };

  const report = async (counts: Counts): Promise<void> => {
    reporting = true;
    try {
      await runs.reportAttempt(key, counts);
      reported = { batches: counts.batches, atMs: Date.now() };
    } catch (err) {
      unrecorded(err);
    } finally {
      reporting = false;
    }
  };

  return {
    get total() {
      return total;
    },
    get committed() {
      return committed();
    },
    get lastBatchAt() {
      return lastBatchAt;
    },
    note: (counts) => {
      first ??= counts;
      if (counts.batches > first.batches) lastBatchAt = new Date().toISOString();
      total = counts;
    },
    describe: () =>
      total && {
        ...total,
        rowsPerSecond: Math.round((committed().rows * 1_000) / Math.max(Date.now() - startedMs, 1)),
        ...(lastBatchAt !== undefined && { lastBatchAt }),
      },
    report: () => {
      const counts = committed();
      const due = counts.batches > reported.batches || Date.now() - reported.atMs >= aliveEveryMs;
      if (due && !reporting) void report(counts);
    },
    end: (end) => runs.endAttempt(key, end).catch(unrecorded),
  };
}
