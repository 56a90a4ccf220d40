/**
 * What the maintenance workflows and their activities say to each other: counts, ids and where to go on. Each activity does
 * a bounded stretch of work and may be repeated.
 */
import type { BrokenInvariant, MaintenanceJob, Stretch, Tally } from '../domain/maintenance.ts';

export interface From {
  /** `next` of the stretch before; absent: the beginning. */
  after?: string;
}

export interface JobEnd {
  job: MaintenanceJob;
  tally: Tally;
  broken: readonly BrokenInvariant[];
}

export interface MaintenanceActivities {
  /** Events, audit rows and stored answers that are older than they are kept. */
  forgetLogs(): Promise<Stretch>;
  /** Runs and slots, sync by sync. */
  forgetRuns(from: From): Promise<Stretch>;
  /** Closed loads and settled rejects, destination by destination. */
  forgetLoads(from: From): Promise<Stretch>;
  /** Leases, tables and runs that are left of what is over, destination by destination. */
  dropOrphans(from: From): Promise<Stretch>;
  /** What is wrong in the control database, the index and the engine. */
  auditControl(): Promise<Stretch>;
  /** What is wrong in the destinations. */
  auditDestinations(from: From): Promise<Stretch>;
  /** Notes how a job ended, for metrics and events. */
  noteEnd(end: JobEnd): Promise<void>;
}
