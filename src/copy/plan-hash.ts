/** What makes two plans the same load, and two cursors the same cursor. */
import { createHash } from 'node:crypto';
import type { LoadPlan } from '../ports/destination.ts';

/** SHA-256 of a value's JSON with sorted members, in hex. */
function digest(value: unknown): string {
  const sorted = (_: string, item: unknown): unknown =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item;
  return createHash('sha256').update(JSON.stringify(value, sorted)).digest('hex');
}

/**
 * Everything that decides what is read and written; not the sync's version, which also counts edits of its schedule, nor
 * the time, which is another for every run and stays that of the run that opened the load. Limits make no other load
 * either: how far to look back, how long to wait for writers. Nor does how rows travel: see `stillTravels`.
 */
export const hashPlan = (plan: LoadPlan): string => {
  const cursor = plan.cursor && { ...plan.cursor, lookbackMs: undefined, lagMs: undefined };
  const travel = { reader: undefined, format: undefined };
  return digest({ ...plan, ...travel, cursor, syncVersion: undefined, runTime: undefined });
};

type Travel = Pick<LoadPlan, 'reader' | 'format'>;

/**
 * Whether rows can still travel as the load was frozen, by how they would now: whoever goes on with a load reads and writes
 * as it says. A cursor and text serve wherever COPY and binary do.
 */
export const stillTravels = (was: Travel, is: Travel): boolean =>
  (was.reader === 'cursor' || is.reader === 'copy') && (was.format === 'text' || is.format === 'binary');

/** What a cursor's value is valid for. */
export const hashCursor = (plan: LoadPlan): string => {
  const { query, mapping, cursor, key, target, scope, sourceIdentity, deletedWhen } = plan;
  const column = cursor?.column ?? null;
  return digest({ query, mapping, column, key, target, scope, sourceIdentity, deletedWhen });
};
