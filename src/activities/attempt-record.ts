/**
 * The row of one attempt in the control database, and its pace. The copying does not depend on it: while the control
 * database is away, rows go on flowing and the numbers follow later. Only where the source's read rate is limited the rows
 * wait, once the attempt's share of it has lapsed.
 */
import { ReadPace } from '../copy/read-pace.ts';
import { hasCode } from '../domain/errors.ts';
import type { AttemptEnd, AttemptKey, RunStore, RunWork } from '../ports/run-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { CopyHeartbeat, Counts } from './contract.ts';

export interface AttemptRecord {
  /** Before it reads. The run's work; of one that is final nothing is recorded. */
  begin(worker: string): Promise<RunWork>;
  /** Kept to what the reports say. */
  readonly pace: ReadPace;
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
  /** Reports what has changed, and renews its share; called every second. */
  report(): void;
  end(end: AttemptEnd): Promise<void>;
}

/** An attempt without news reports this often all the same: a run that does not move is looked into. */
const aliveEveryMs = 15_000;

type Store = Pick<RunStore, 'beginAttempt' | 'reportAttempt' | 'endAttempt'>;

/** Follows an attempt. */
export function followAttempt(key: AttemptKey, runs: Store, logger: Logger): AttemptRecord {
  const startedMs = Date.now();
  let first: Counts | undefined;
  let total: Counts | undefined;
  let lastBatchAt: string | undefined;
  let reported = { batches: 0, atMs: startedMs };
  /** Nothing is reported of an attempt that has not begun, and one thing at a time. */
  let isReporting = true;
  const pace = new ReadPace();

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
    isReporting = true;
    try {
      const askedAtMs = performance.now();
      const share = await runs.reportAttempt(key, counts, pace.share);
      pace.renew(share, askedAtMs, performance.now());
      reported = { batches: counts.batches, atMs: Date.now() };
    } catch (err) {
      unrecorded(err);
    } finally {
      isReporting = false;
    }
  };

  return {
    begin: async (worker) => {
      const askedAtMs = performance.now();
      const { work, share } = await runs.beginAttempt({ ...key, worker });
      pace.renew(share, askedAtMs, performance.now());
      isReporting = false;
      return work;
    },
    pace,
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
      const silentMs = Date.now() - reported.atMs;
      const due = counts.batches > reported.batches || pace.share !== null || silentMs >= aliveEveryMs;
      if (due && !isReporting) void report(counts);
    },
    end: (end) => runs.endAttempt(key, end).catch(unrecorded),
  };
}
