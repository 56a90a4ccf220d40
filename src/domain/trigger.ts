/**
 * What a trigger asks for, and what becomes of it while runs of its sync are open. Pure: storage reads the open runs under
 * the sync's lock and does what is decided.
 */
import { parseDurationMs } from './duration-spec.ts';
import { PenstockError } from './errors.ts';
import type { RunStatus } from './run-states.ts';

/**
 * `queue`: it waits behind the run at work; a run that waits already, and would do the same as soon, takes its place.
 * `join`: the run at work is taken, or else as with `queue`. `reject`: it is refused.
 */
export const onRunningWays = ['queue', 'join', 'reject'] as const;
export type OnRunning = (typeof onRunningWays)[number];

/** A trigger as it is sent. */
export interface TriggerInput {
  readonly at?: string | undefined;
  readonly in?: string | undefined;
  readonly debounce?: { readonly key: string; readonly for: string } | undefined;
  readonly onRunning?: OnRunning | undefined;
}

/** When its run is due, and whether open runs matter to it. */
export interface TriggerPlan {
  /** ISO 8601; null: see `inMs`. A time that has passed means now. */
  readonly at: string | null;
  readonly inMs: number;
  /** A run that waits for the same key to be quiet is put off instead. */
  readonly debounce: string | null;
  /** null: a run of its own, whatever is open. */
  readonly onRunning: OnRunning | null;
}

const mostAheadMs = 366 * 86_400_000;

const refuse = (message: string, pointer: string): never => {
  throw new PenstockError('BAD_REQUEST', message, { pointer });
};

/** @throws PenstockError BAD_REQUEST with a pointer, when members exclude each other or a time is too far ahead */
export function planTrigger({ at, in: after, debounce, onRunning }: TriggerInput): TriggerPlan {
  if (at !== undefined && after !== undefined) refuse('at and in both say when: leave one out', '/in');
  if (debounce && (at ?? after) !== undefined)
    refuse('debounce says itself when the run is due: leave at and in out', '/debounce');
  const isLater = (at ?? after ?? debounce) !== undefined;
  if (isLater && onRunning !== undefined)
    refuse(
      'onRunning is about a run that is to start now: leave it out with at, in and debounce',
      '/onRunning',
    );
  const pointer = debounce ? '/debounce/for' : '/in';
  const inMs = parseDurationMs(debounce?.for ?? after ?? '0s')!;
  if (inMs > mostAheadMs) refuse('a run may be at most 366 days ahead', pointer);
  return {
    at: at ?? null,
    inMs,
    debounce: debounce?.key ?? null,
    onRunning: isLater ? null : (onRunning ?? 'queue'),
  };
}

/** A run of the sync that is not final. */
export interface OpenRun {
  readonly runId: string;
  readonly status: RunStatus;
  readonly isDue: boolean;
  readonly version: number;
  readonly priority: number;
}

export type TriggerFate =
  { readonly kind: 'make' } | { readonly kind: 'take' | 'refuse'; readonly runId: string };

/**
 * Whether a trigger makes a run, takes one that is open, or is refused. It takes none that would do something else (of
 * another version), later (of a lower priority), or that is being cancelled.
 * @param open in the order in which they are due
 */
export function decideTrigger(
  onRunning: OnRunning,
  { version, priority }: { version: number; priority: number },
  open: readonly OpenRun[],
): TriggerFate {
  const due = open.filter((run) => run.isDue);
  if (onRunning === 'reject') return due[0] ? { kind: 'refuse', runId: due[0].runId } : { kind: 'make' };
  const same = due.filter((run) => run.version === version && run.status !== 'cancelling');
  const atWork = onRunning === 'join' ? same.find((run) => run.status !== 'queued') : undefined;
  const taken = atWork ?? same.find((run) => run.status === 'queued' && run.priority <= priority);
  return taken ? { kind: 'take', runId: taken.runId } : { kind: 'make' };
}
