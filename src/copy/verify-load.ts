/**
 * Compares what a sync's loads have written with what its query gives now: the plan of the newest load that is done, up to
 * the end of its window. Reads only, and keeps no snapshot, so it may take its time beside everything else.
 */
import { PenstockError } from '../domain/errors.ts';
import type { SyncId } from '../domain/ids.ts';
import type { VerifyReport } from '../domain/verify-report.ts';
import { writeModes } from '../domain/write-modes.ts';
import type { RowsPart } from '../ports/comparison.ts';
import type { Destination, DoneLoad } from '../ports/destination.ts';
import type { ResultColumn, Source } from '../ports/source.ts';
import { isHopeless, leafRows, verifyPart, type VerifyParts } from './verify-parts.ts';

export interface VerifyRequest {
  sync: SyncId;
  /** Keys of so many rows that differ are told. */
  maxExamples: number;
  /** Ends it with what it has found so far. */
  signal: AbortSignal;
  /** Called after every part; of so many. */
  onProgress?: (report: VerifyReport, part: number, parts: number) => void;
  /** Of tests: smaller parts and buckets than would be sensible. */
  sizes?: { partRows: number; leafRows: number };
}

/** Rows that one statement sums up, as far as the key says where to cut. */
const partRows = 1_000_000;
const maxParts = 1_000;

const noRows = {
  sourceRows: 0,
  destinationRows: 0,
  missing: 0,
  extra: 0,
  different: 0,
  duplicated: 0,
  pending: 0,
  rejected: 0,
  deduplicated: 0,
};

/** CONFLICT while no load is done; NOT_COMPARABLE; TARGET_MISMATCH without its table or columns; SOURCE_*, DESTINATION_*. */
export async function verifyLoad(
  deps: { source: Source; destination: Destination },
  request: VerifyRequest,
): Promise<VerifyReport> {
  const { source, destination } = deps;
  const { sync, signal, sizes = { partRows, leafRows } } = request;
  if (!source.compare)
    throw new PenstockError('NOT_COMPARABLE', 'The source has no hash of its rows.', {
      pointer: '/source/connection',
    });
  const load = await destination.lastDoneLoad(sync);
  if (!load) throw new PenstockError('CONFLICT', 'No load of it is done yet: there is nothing to compare.');
  const { query, key, cursor, target, scope, mode, softDelete, deletedWhen, runTime, mapping } = load.plan;
  const found = await targetColumns(destination, load);
  const columns = load.plan.columns.filter(({ name }) => found.some((each) => each.name === name));
  const rows = { query, columns, key, cursor, window: load.window, runTime, mapping, deletedWhen };
  const ours = destination.compare({ sync, target, scope, columns: found, key, softDelete });
  const report: VerifyReport = {
    equal: false,
    complete: false,
    ...noRows,
    examples: [],
    loadedAt: load.closedAt,
    unfinished: load.isFollowed,
  };
  const verify: VerifyParts = {
    source: source.compare({ ...rows, which: 'loaded' }),
    later: source.compare({ ...rows, which: 'later' }),
    destination: ours,
    rejected: new Map((await ours.listRejected()).map(({ key, rows }) => [key, rows])),
    oneRowAKey: writeModes[mode].keyed,
    maxExamples: request.maxExamples,
    leafRows: sizes.leafRows,
    signal,
    report,
  };
  try {
    const parts = await splitRows(source, load, { found, partRows: sizes.partRows, signal });
    for (const [i, part] of parts.entries()) {
      signal.throwIfAborted();
      if (isHopeless(report)) return report;
      await verifyPart(verify, part);
      request.onProgress?.(report, i + 1, parts.length);
    }
  } catch (error) {
    if (signal.aborted) return report;
    throw error;
  }
  report.complete = !isHopeless(report);
  report.equal = report.missing + report.extra + report.different + report.duplicated === 0;
  return report;
}

/** The columns that the load fills, in its order, as the target has them now. */
async function targetColumns(
  destination: Destination,
  { plan: { target, columns, deletedWhen } }: DoneLoad,
): Promise<ResultColumn[]> {
  const { columns: present } = await destination.describeTarget(target);
  return columns.flatMap(({ name }) => {
    const there = present?.find((column) => column.name === name);
    if (there) return [there];
    if (present && name === deletedWhen?.column) return [];
    const what = present ? `has no column ${name} any more` : 'does not exist any more';
    throw new PenstockError('TARGET_MISMATCH', `The target ${target.schema}.${target.table} ${what}.`);
  });
}

/** Types that both sides put in one order, whatever their collations and versions. */
const orderedTypes = new Set([20, 21, 23, 26, 700, 701, 1082, 1083, 1114, 1184, 1700, 2950]);

/**
 * Ranges of the first key column, each read by one statement, where an index serves it at the source; otherwise one part,
 * which is told apart by hashes alone.
 */
async function splitRows(
  source: Source,
  { plan, window }: DoneLoad,
  { found, partRows, signal }: { found: ResultColumn[]; partRows: number; signal: AbortSignal },
): Promise<RowsPart[]> {
  const { query, columns, key, cursor, runTime, mapping } = plan;
  const [theirs, ours] = [columns, found].map((side) => side.find(({ name }) => name === key[0]));
  if (!theirs || theirs.typeOid !== ours!.typeOid || !orderedTypes.has(theirs.typeOid)) return [{ path: [] }];
  const { sortsForKey } = await source.probe({ query, key, cursor: cursor?.column ?? null, mapping });
  if (sortsForKey) return [{ path: [] }];
  const ends = await source.splitKey({
    query,
    columns,
    key,
    cursor,
    runTime,
    mapping,
    signal,
    window: { low: null, high: window.high },
    ranges: maxParts,
    minRows: partRows,
  });
  return [...ends, undefined].map((upTo, i) => ({
    ...(i > 0 && { after: ends[i - 1]! }),
    ...(upTo !== undefined && { upTo }),
    path: [],
  }));
}
