/** What the stores of the API stand on. */
import type { Pool } from 'pg';
import type { RunStarter } from '../ports/run-starter.ts';
import type { ScheduleAnnouncer } from '../ports/schedule-index.ts';
import type { Logger } from '../telemetry/logger.ts';

/** What storage needs to make committed changes take effect at once. */
export interface StoreDeps {
  /** Of a login that may take the roles penstock_api and penstock_operator. */
  pool: Pool;
  announcer: ScheduleAnnouncer;
  starter: Pick<RunStarter, 'cancel' | 'pause' | 'resume'>;
  logger: Logger;
}
