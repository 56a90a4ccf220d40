/** Makes the plan of a load from a sync's spec and what the two ends say. Pure: refuses what cannot be kept exactly once. */
import { checkBackfillable } from '../domain/backfill.ts';
import { PenstockError } from '../domain/errors.ts';
import { placeholdersIn } from '../domain/placeholders.ts';
import { parseDurationMs } from '../domain/duration-spec.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import { writeModes } from '../domain/write-modes.ts';
import type { LoadPlan, TableName } from '../ports/destination.ts';
import type { PlannedCursor, QueryProbe, ResultColumn } from '../ports/source.ts';
import { chooseFormat } from './choose-format.ts';
import { planScope } from './plan-scope.ts';

/** How long to wait for transactions in progress when the spec does not say. */
const defaultLagMs = 10_000;

interface PlanInput {
  spec: SyncSpec;
  syncVersion: number;
  /** It reads a given window, and leaves the cursor alone. */
  isBackfill?: boolean;
  probe: QueryProbe;
  target: { target: TableName; columns: readonly ResultColumn[] | null };
}

/** `table` or `schema.table`; an empty schema is the login's own. */
export function parseTableName(text: string): TableName {
  const dot = text.indexOf('.');
  return dot < 0 ? { schema: '', table: text } : { schema: text.slice(0, dot), table: text.slice(dot + 1) };
}

/** BAD_REQUEST; NOT_BACKFILLABLE; NOT_RESUMABLE for an upsert whose rows cannot be told apart by their key. */
export function planLoad({ spec, syncVersion, isBackfill = false, probe, target }: PlanInput): LoadPlan {
  if (isBackfill) checkBackfillable(spec);
  const order = orderOf(spec, probe);
  const planned = planCursor(spec, probe);
  const cursor = isBackfill && planned ? { ...planned, lookbackMs: 0 } : planned;
  return {
    syncVersion,
    mode: spec.mode,
    query: spec.source.query,
    sourceIdentity: probe.identity,
    columns: probe.columns,
    ...(probe.mapping && { mapping: probe.mapping }),
    format: chooseFormat(probe.columns, order, target.columns, probe.formats),
    reader: probe.reader,
    key: spec.key,
    uniqueKey: probe.resumable.uniqueKey || order.length === 0,
    order,
    resumable: probe.resumable.possible,
    target: target.target,
    cursor,
    movesCursor: !isBackfill && cursor !== null,
    ...planScope(spec, probe.columns, target.columns),
    ...planSoftDelete(spec, probe, target.columns),
    ...(placeholdersIn(spec.source.query).includes('run_time') && { runTime: probe.now }),
    ...planDeletedWhen(spec, probe),
  };
}

/**
 * The order in which rows are read. To go on after a key they must come in its order. A merge by key needs that order also
 * when every attempt begins again: rows of one key must meet in one batch, where one of them is chosen.
 */
function orderOf({ key, mode }: SyncSpec, { resumable }: QueryProbe): readonly string[] {
  if (resumable.possible) return key;
  if (!writeModes[mode].keyed) return [];
  if (resumable.keyFlaw === null) return key;
  throw new PenstockError('NOT_RESUMABLE', `The key tells no rows apart: ${resumable.keyFlaw}.`, {
    pointer: '/key',
  });
}

const timeTypes = /^(timestamp|date)/;

function planCursor({ cursor, mode }: SyncSpec, { columns }: QueryProbe): PlannedCursor | null {
  if (!cursor) return null;
  const { onlyAdds } = writeModes[mode];
  const lookbackMs = parseDurationMs(cursor.lookback ?? '0ms')!;
  const { typeName } = columns.find((column) => column.name === cursor.column)!;
  if (lookbackMs > 0 && onlyAdds)
    throw new PenstockError('BAD_REQUEST', 'An append cannot look back: it would load rows twice.', {
      pointer: '/cursor/lookback',
    });
  if (lookbackMs > 0 && !timeTypes.test(typeName))
    throw new PenstockError('BAD_REQUEST', `A cursor of type ${typeName} has no time to look back by.`, {
      pointer: '/cursor/lookback',
    });
  return {
    column: cursor.column,
    lookbackMs,
    lagMs: cursor.lag === undefined ? defaultLagMs : parseDurationMs(cursor.lag)!,
    nulls: onlyAdds ? 'refuse' : 'read',
  };
}

/** A column that the target has beside the result's, or will have when it is created. */
function planSoftDelete(
  { softDelete: column }: SyncSpec,
  { columns }: QueryProbe,
  present: readonly ResultColumn[] | null,
): Pick<LoadPlan, 'softDelete'> {
  if (column === undefined) return {};
  const pointer = '/softDelete';
  if (columns.some(({ name }) => name === column))
    throw new PenstockError(
      'BAD_REQUEST',
      `The result has a column ${column}: name one that only the target has.`,
      { pointer },
    );
  if (present === null) return { softDelete: { column, kind: 'time' } };
  const typeName = present.find(({ name }) => name === column)?.typeName;
  if (typeName === undefined)
    throw new PenstockError('TARGET_MISMATCH', `The target has no column ${column}.`, { pointer });
  if (typeName !== 'boolean' && !typeName.startsWith('timestamp'))
    throw new PenstockError(
      'TARGET_MISMATCH',
      `The column ${column} of the target is ${typeName}: rows are marked with a boolean or a timestamp.`,
      { pointer },
    );
  return { softDelete: { column, kind: typeName === 'boolean' ? 'boolean' : 'time' } };
}

function planDeletedWhen(
  { deletedWhen: column }: SyncSpec,
  { columns }: QueryProbe,
): Pick<LoadPlan, 'deletedWhen'> {
  if (column === undefined) return {};
  const found = columns.find(({ name }) => name === column);
  if (!found)
    throw new PenstockError('BAD_REQUEST', `The result has no column ${column}.`, {
      pointer: '/deletedWhen',
    });
  return { deletedWhen: { column, isBoolean: found.typeName === 'boolean' } };
}
