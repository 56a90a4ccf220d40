/** What Penstock does for itself, on a schedule of its own: the words that its workflows, rows and metrics share. */
import type { ConnectionId } from './ids.ts';

export const maintenanceJobs = ['retention', 'orphans', 'audit'] as const;
export type MaintenanceJob = (typeof maintenanceJobs)[number];

/** How many of what a job has met. */
export type Tally = Readonly<Record<string, number>>;

/** What was done and found. */
export interface Findings {
  readonly tally: Tally;
  readonly broken?: readonly BrokenInvariant[];
}

/** A bounded part of a job's work. `next` is where to go on; without it nothing is left. */
export interface Stretch extends Findings {
  readonly next?: string;
}

/** Findings that are told at once: many of a kind have one cause, and a workflow's history is no place for them. */
export const mostBroken = 50;

export const addTally = (a: Tally, b: Tally): Tally => {
  const sum: Record<string, number> = { ...a };
  for (const [what, count] of Object.entries(b)) sum[what] = (sum[what] ?? 0) + count;
  return sum;
};

/**
 * What must hold of rows, places, leases and workflows that lie still:
 * - `receipt_adds_up`: a receipt is the sum of the checkpoints and loads that it sums up.
 * - `run_has_workflow`: a run that is at work has a workflow that is open.
 * - `lease_has_load`: whoever holds a lease is not final, and its load is not over.
 * - `place_has_run`: a place is held by a run that is at work.
 */
export const invariants = ['receipt_adds_up', 'run_has_workflow', 'lease_has_load', 'place_has_run'] as const;
export type Invariant = (typeof invariants)[number];

/** One place where an invariant does not hold. */
export interface BrokenInvariant {
  readonly invariant: Invariant;
  /** Id of the run, load or lease. */
  readonly object: string;
  /** Where it was found, when that was a destination: its server is not ours, and may name what is another tenant's. */
  readonly destination?: ConnectionId;
}
