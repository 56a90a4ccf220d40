/** Makes the plan of a load from a sync's spec and what the two ends say. Pure: refuses what cannot be kept exactly once. */
import { PenstockError } from '../domain/errors.ts';
import { parseDurationMs, type SyncSpec } from '../domain/sync-spec.ts';
import type { LoadPlan, TableName } from '../ports/destination.ts';
import type { PlannedCursor, QueryProbe, ResultColumn } from '../ports/source.ts';
import { chooseFormat } from './choose-format.ts';

/** How long to wait for transactions in progress when the spec does not say. */
const defaultLagMs = 10_000;

interface PlanInput {
  spec: SyncSpec;
  syncVersion: number;
  movesCursor: boolean;
  reader: LoadPlan['reader'];
  probe: QueryProbe;
  target: { target: TableName; columns: readonly ResultColumn[] | null };
}

/** `table` or `schema.table`; an empty schema is the login's own. */
export function parseTableName(text: string): TableName {
  const dot = text.indexOf('.');
  return dot < 0 ? { schema: '', table: text } : { schema: text.slice(0, dot), table: text.slice(dot + 1) };
}

/** NOT_RESUMABLE, BAD_REQUEST. */
export function planLoad({ spec, syncVersion, movesCursor, reader, probe, target }: PlanInput): LoadPlan {
  const { resumable } = probe;
  if (spec.key.length === 0)
    throw new PenstockError(
      'NOT_RESUMABLE',
      'The sync has no key, so a copy that was interrupted could not go on.',
      {
        pointer: '/key',
      },
    );
  if (!resumable.possible)
    throw new PenstockError('NOT_RESUMABLE', `The query cannot be continued: ${resumable.reason}.`, {
      pointer: '/source/query',
    });
  const cursor = planCursor(spec, probe);
  return {
    syncVersion,
    mode: spec.mode,
    query: spec.source.query,
    sourceIdentity: probe.identity,
    columns: probe.columns,
    format: reader === 'cursor' ? 'text' : chooseFormat(probe.columns, spec.key, target.columns),
    reader,
    key: spec.key,
    uniqueKey: resumable.uniqueKey,
    target: target.target,
    cursor,
    movesCursor: movesCursor && cursor !== null,
  };
}

const timeTypes = /^(timestamp|date)/;

function planCursor({ cursor, mode }: SyncSpec, { columns }: QueryProbe): PlannedCursor | null {
  if (!cursor) return null;
  const lookbackMs = parseDurationMs(cursor.lookback ?? '0ms')!;
  const { typeName } = columns.find((column) => column.name === cursor.column)!;
  if (lookbackMs > 0 && mode === 'append')
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
    nulls: mode === 'upsert' ? 'read' : 'refuse',
  };
}
