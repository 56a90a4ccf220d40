/** What the activities need: ports, wired by the worker's composition root. */
import type { OpenDestination } from '../ports/destination.ts';
import type { RunStore } from '../ports/run-store.ts';
import type { OpenSource } from '../ports/source.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface ActivityDeps {
  runs: RunStore;
  openSource: OpenSource;
  openDestination: OpenDestination;
  /** Aborted when the process is asked to end: attempts finish the batch in hand and yield. */
  drain: AbortSignal;
  /** A source that sends no row for so long has stalled. */
  rowTimeoutMs: number;
  /** This process, in the rows of its attempts. */
  workerName: string;
  logger: Logger;
}
