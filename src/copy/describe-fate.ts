/** What becomes of the target's rows, of the cursor and of an unfinished load, in words. */
import { cursorIsFor } from '../domain/reset-ways.ts';
import type { SyncPlan } from '../domain/sync-plan.ts';
import { writeModes } from '../domain/write-modes.ts';
import type { CursorFate, LoadPlan, TargetForecast } from '../ports/destination.ts';
import type { QueryProbe } from '../ports/source.ts';

export function describeDeletes(
  { estimatedRows: source }: QueryProbe,
  { mode, cursor, scope, softDelete, deletedWhen }: LoadPlan,
  { estimatedRows: target, exists }: TargetForecast,
  maxDeletePercent: number,
): NonNullable<SyncPlan['deletes']> {
  if (deletedWhen)
    return {
      expected: null,
      why: `It ${softDelete ? 'marks' : 'deletes'} rows${scope ? ' of its scope' : ''} whose ${deletedWhen.column} says so.`,
    };
  const { absentRows } = writeModes[mode];
  if (absentRows === 'kept') return { expected: 0, why: `${mode} deletes nothing.` };
  if (!exists) return { expected: 0, why: 'The target is new.' };
  const verb = softDelete ? 'marks' : 'deletes';
  const guard = `More than ${maxDeletePercent} % stops the run before any.`;
  const its = scope ? ' of its scope' : '';
  const what =
    absentRows === 'deleted'
      ? `It ${verb} rows${its} whose key is not in the result.`
      : `All rows${its} give way to the result.`;
  if (source === null || target === null || cursor)
    return { expected: null, why: `${what} How many is known when all is read. ${guard}` };
  return {
    expected: Math.max(Math.round(target - source), 0),
    why: `${what} The number is the difference of what the two servers' planners guess, and at least that. ${guard}`,
  };
}

const cursorWords: Readonly<Record<CursorFate, string>> = {
  first: 'There is none yet: the first load reads everything.',
  kept: 'The next load goes on where the last one ended.',
  gone: 'The table that it vouches for is not there any more: everything is read again.',
  changed: `The ${cursorIsFor} is another: everything is read again.`,
  refused: `The ${cursorIsFor} is not the one that the cursor was kept for, and an append would load rows twice.`,
};

/** Null without a cursor. */
export function describeCursor({ cursor }: LoadPlan, { cursor: fate }: TargetForecast): SyncPlan['cursor'] {
  if (!cursor) return null;
  const becomes = fate === 'gone' || fate === 'changed' ? 'reset' : fate;
  return { column: cursor.column, becomes, why: cursorWords[fate] };
}

const loadWords = {
  continued: 'It has the same plan: the next run finishes it first.',
  abandoned:
    'It was begun with another plan or for another table: it is given up, and everything since the cursor is read again.',
  refused: 'It was begun with another plan, and has committed rows that cannot be taken back.',
};

export const describeUnfinished = ({ unfinished }: TargetForecast): SyncPlan['unfinishedLoad'] =>
  unfinished && { ...unfinished, why: loadWords[unfinished.becomes] };
