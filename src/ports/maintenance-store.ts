/**
 * The control database as maintenance sees it. Every method is one short transaction over a bounded number of rows, and
 * safe to repeat. Errors: UNAVAILABLE when the database does not answer.
 */
import type { ConnectionId, RunId } from '../domain/ids.ts';
import type { BrokenInvariant, MaintenanceJob, Stretch, Tally } from '../domain/maintenance.ts';
import type { ConnectionAccess } from './connection.ts';
import type { RecordedReceipt } from './destination.ts';
import type { RunAtWork } from './schedule-store.ts';

export interface MaintenanceStore {
  /** Forgets some of the oldest events, audit rows and stored answers. */
  forgetLogs(): Promise<Stretch>;
  /** Forgets some of the old runs and slots of the syncs after this id, in their order. */
  forgetRuns(afterSync: string): Promise<Stretch>;
  /** Connections that some version of a sync writes through, in order of their ids; a bounded number. */
  listDestinations(after: string): Promise<ConnectionId[]>;
  /** The connection with its password, in the operator's own right. NOT_FOUND; CONFIG when the password does not open. */
  fetchAccess(id: ConnectionId): Promise<ConnectionAccess>;
  /** Of these runs, those that have been final for a while. */
  listEnded(runs: readonly RunId[]): Promise<RunId[]>;
  /** Runs of the last days through this destination, as their rows have them; a bounded number, newest first. */
  listReceipts(destination: ConnectionId): Promise<RecordedReceipt[]>;
  /** Runs at work whose rows have lain still for longer than any sweep leaves them; a bounded number. */
  listStill(): Promise<RunAtWork[]>;
  /** Of these runs, those that hold no place by their rows. */
  listPlaceless(runs: readonly RunId[]): Promise<RunId[]>;
  /** Notes that a job went through, and each broken invariant as an event, once a day while it stays broken. */
  noteEnd(job: MaintenanceJob, tally: Tally, broken: readonly BrokenInvariant[]): Promise<void>;
}
