/**
 * Compares the rows of two databases: checksums first, then smaller and smaller buckets of what differs, and the keys of
 * what is small enough to be listed. Memory is bounded by `leafRows`, whatever the number of rows.
 */
import type { RowFault, VerifyReport } from '../domain/verify-report.ts';
import {
  bucketBits,
  type BucketSum,
  type ComparedRows,
  type RowHash,
  type RowsPart,
} from '../ports/comparison.ts';

/** Buckets with so many rows are listed together. */
export const leafRows = 20_000;
/** 64 bits of hash; a bucket that is still too large has one key. */
const maxDepth = 64 / bucketBits - 1;
/** After so many rows that differ the rest is not looked into any more: something is wrong as a whole. */
const maxFaults = 10_000;

export interface VerifyParts {
  source: ComparedRows;
  /** Rows of the source that the next window brings. */
  later: ComparedRows;
  destination: ComparedRows;
  /** The target has one row a key, whichever of the source's with that key. */
  oneRowAKey: boolean;
  /** Rows that the target has refused, by key; those without one under null. */
  rejected: Map<string | null, number>;
  maxExamples: number;
  leafRows: number;
  signal: AbortSignal;
  /** Added to as parts are compared. */
  report: VerifyReport;
}

/** Compares one part. Throws the reason of `signal`. */
export async function verifyPart(verify: VerifyParts, part: RowsPart): Promise<void> {
  const { report, signal } = verify;
  const [theirs, ours] = await bothSides(verify, (side) => side.sumBuckets(part, signal));
  if (part.path.length === 0) {
    report.sourceRows += rowsOf(theirs);
    report.destinationRows += rowsOf(ours);
  }
  const small: { bucket: number; rows: number }[] = [];
  for (const { bucket, rows } of differing(theirs, ours))
    if (rows > verify.leafRows && part.path.length < maxDepth)
      await verifyPart(verify, { ...part, path: [...part.path, bucket] });
    else small.push({ bucket, rows });
  for (const group of groupsOf(small, verify.leafRows)) {
    if (isHopeless(report)) return;
    await verifyBuckets(verify, part, group);
  }
}

export const isHopeless = (report: VerifyReport): boolean =>
  report.missing + report.extra + report.different + report.duplicated >= maxFaults;

const rowsOf = (buckets: readonly BucketSum[]): number => buckets.reduce((sum, { rows }) => sum + rows, 0);

function bothSides<T>(
  { source, destination }: VerifyParts,
  ask: (side: ComparedRows) => Promise<T>,
): Promise<[T, T]> {
  return Promise.all([ask(source), ask(destination)]);
}

/** With the rows of the fuller side. */
function differing(
  theirs: readonly BucketSum[],
  ours: readonly BucketSum[],
): { bucket: number; rows: number }[] {
  const found = new Map(ours.map((each) => [each.bucket, each]));
  const known = new Set(theirs.map(({ bucket }) => bucket));
  return [
    ...theirs
      .filter(({ bucket, rows, sum }) => found.get(bucket)?.rows !== rows || found.get(bucket)?.sum !== sum)
      .map(({ bucket, rows }) => ({ bucket, rows: Math.max(rows, found.get(bucket)?.rows ?? 0) })),
    ...ours.filter(({ bucket }) => !known.has(bucket)),
  ];
}

/** As many buckets at a time as are listed together. */
function groupsOf(buckets: readonly { bucket: number; rows: number }[], most: number): number[][] {
  const groups: number[][] = [];
  let rowsInGroup = Infinity;
  for (const { bucket, rows } of buckets) {
    if (rowsInGroup + rows > most) {
      groups.push([]);
      rowsInGroup = 0;
    }
    groups.at(-1)!.push(bucket);
    rowsInGroup += rows;
  }
  return groups;
}

interface Fault {
  fault: RowFault | 'deduplicated';
  /** The key, or the hash of a row without one. */
  id: string;
  key: string | null;
  rows: number;
}

/** What differs twice in a row, so that what is being written meanwhile does not count. */
async function verifyBuckets(verify: VerifyParts, part: RowsPart, buckets: readonly number[]): Promise<void> {
  const look = async (): Promise<Fault[]> => {
    const [theirs, ours] = await bothSides(verify, (side) => side.listRows(part, buckets, verify.signal));
    return findFaults(theirs, ours, verify.oneRowAKey);
  };
  const first = new Set((await look()).map(({ fault, id }) => `${fault} ${id}`));
  if (first.size === 0) return;
  const faults = (await look()).filter(({ fault, id }) => first.has(`${fault} ${id}`));
  const extra = faults.some(({ fault }) => fault === 'extra');
  const later = extra ? await verify.later.listRows(part, buckets, verify.signal) : [];
  const comes = new Set(later.flatMap(({ key }) => key ?? []));
  for (const { fault, id, key, rows } of faults)
    if (fault === 'extra' && comes.has(id)) verify.report.pending += rows;
    else if ((fault === 'missing' || fault === 'different') && takeRejected(verify, key, rows))
      verify.report.rejected += rows;
    else {
      verify.report[fault] += rows;
      const isExample = fault !== 'deduplicated' && key !== null;
      if (isExample && verify.report.examples.length < verify.maxExamples)
        verify.report.examples.push({ fault, key });
    }
}

/** A reject explains rows once. */
function takeRejected({ rejected }: VerifyParts, key: string | null, rows: number): boolean {
  const left = rejected.get(key) ?? 0;
  if (left < rows) return false;
  rejected.set(key, left - rows);
  return true;
}

interface Versions {
  key: string | null;
  theirs: string[];
  ours: string[];
}

function findFaults(theirs: readonly RowHash[], ours: readonly RowHash[], oneRowAKey: boolean): Fault[] {
  const versions = new Map<string, Versions>();
  for (const [side, rows] of [['theirs', theirs] as const, ['ours', ours] as const])
    for (const { key, hash } of rows) {
      const id = key ?? hash;
      const known = versions.get(id) ?? { key, theirs: [], ours: [] };
      known[side].push(hash);
      versions.set(id, known);
    }
  return [...versions].flatMap(([id, each]) =>
    faultsOf(each, oneRowAKey).map((found) => ({ ...found, id, key: each.key })),
  );
}

function faultsOf({ theirs, ours }: Versions, oneRowAKey: boolean): Pick<Fault, 'fault' | 'rows'>[] {
  const wanted = [...theirs];
  const others = ours.filter((hash) => {
    const at = wanted.indexOf(hash);
    if (at >= 0) wanted.splice(at, 1);
    return at < 0;
  });
  if (theirs.length === 0) return [{ fault: 'extra', rows: ours.length }];
  const spare = oneRowAKey ? Math.max(theirs.length - 1, 0) : 0;
  const different = Math.min(others.length, wanted.length);
  return (
    [
      { fault: 'deduplicated', rows: spare },
      { fault: 'different', rows: different },
      { fault: 'duplicated', rows: others.length - different },
      { fault: 'missing', rows: Math.max(wanted.length - different - spare, 0) },
    ] as const
  ).filter(({ rows }) => rows > 0);
}
