/** A plan in words: how it is read, what the key is good for, and how each column travels. */
import { describeRate, type ReadRate } from '../domain/read-rate.ts';
import type { PlannedColumn, PlannedKey, PlannedRead } from '../domain/sync-plan.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import { writeModes } from '../domain/write-modes.ts';
import type { LoadPlan } from '../ports/destination.ts';
import type { MappedColumn, QueryProbe, ResultColumn } from '../ports/source.ts';
import { whyText } from './choose-format.ts';
import { keepsValues } from './column-fit.ts';

export function describeRead(probe: QueryProbe, plan: LoadPlan): PlannedRead {
  const { reader, format, order, resumable } = plan;
  return {
    reader,
    format,
    resumes: resumable,
    why: probe.resumable.possible
      ? `Rows come in the order of ${order.join(', ')}, so an attempt goes on after the last batch that was committed.`
      : `It cannot be continued: ${probe.resumable.reason}. Each attempt begins with the first row again${
          writeModes[plan.mode].keyed ? '' : ', in a table beside the target that is published once'
        }.`,
    order: [...order],
    estimatedRows: probe.estimatedRows,
    sorts: order.length > 0 && probe.sortsForKey,
  };
}

/** That the source may not be read at any rate, and how long that takes where it can be told. */
export function describePace(
  { connection, limit }: { connection: string; limit: ReadRate },
  read: Pick<PlannedRead, 'estimatedRows'> | null,
): string {
  const seconds = (read?.estimatedRows ?? 0) / (limit.rowsPerSecond ?? Infinity);
  const duration =
    seconds < 60 ? '' : ` As many rows as are expected take ${Math.ceil(seconds / 60)} minutes or longer.`;
  return `The connection ${connection} is read at ${describeRate(limit)}, by all runs together.${duration}`;
}

/** Null without a key. */
export function describeKey(
  { resumable: { uniqueKey }, keyMayBeNull }: QueryProbe,
  { key, mode }: LoadPlan,
): PlannedKey | null {
  if (key.length === 0) return null;
  const { keyed } = writeModes[mode];
  const repeated = keyed
    ? 'Not proven to be unique: of rows with one key, one is written (the greatest cursor, or else the text that sorts last). Batches are cut only where it changes; more rows of one key than a batch holds stop the run.'
    : 'Not proven to be unique: batches are cut only where it changes; more rows of one key than a batch holds stop the run.';
  const nulls = keyed ? ' A NULL in it is refused.' : ' Rows with a NULL in it are read last.';
  return {
    columns: [...key],
    unique: uniqueKey,
    mayBeNull: keyMayBeNull,
    consequence:
      (uniqueKey ? 'Proven to be unique: batches may be cut anywhere.' : repeated) +
      (keyMayBeNull ? nulls : ''),
  };
}

interface DescribedColumns {
  probe: Pick<QueryProbe, 'columns' | 'mapping' | 'formats'>;
  spec: Pick<SyncSpec, 'key' | 'deletedWhen'>;
  /** As they are; null when they will be made after the result. */
  target: readonly ResultColumn[] | null;
}

export const describeColumns = ({ probe, spec, target }: DescribedColumns): PlannedColumn[] =>
  probe.columns.map((column) => {
    const { name, typeName: sourceType } = column;
    const there = target?.find((each) => each.name === name)?.typeName;
    const isUnwritten = name === spec.deletedWhen && there === undefined;
    const targetType = target === null && !isUnwritten ? sourceType : (there ?? null);
    return {
      name,
      mapped: describeMapping(probe.mapping?.find((each) => each.name === name)),
      sourceType,
      targetType,
      conversion: isUnwritten ? 'unwritten' : conversionOf(sourceType, targetType, target === null),
      textBecause: whyText(column, spec.key, target, probe.formats),
    };
  });

function describeMapping(column: MappedColumn | undefined): string | null {
  if (!column) return null;
  const { name, from, cast, hash } = column;
  if (hash) return `SHA-256 of ${from}`;
  const renamed = from === name ? [] : [`renamed from ${from}`];
  const all = [...renamed, ...(cast === undefined ? [] : [`cast to ${cast}`])];
  return all.length === 0 ? null : all.join(', ');
}

function conversionOf(from: string, to: string | null, isMade: boolean): PlannedColumn['conversion'] {
  if (isMade) return 'created';
  if (to === null || !keepsValues(from, to)) return 'refused';
  return from === to ? 'none' : 'fits';
}
