/** A source in memory: one table whose rows are text, in the order of an integer key. It obeys the port's contract. */
import { encodeRow } from '../../src/copy/encode-rows.ts';
import { PenstockError } from '../../src/domain/errors.ts';
import type {
  QueryProbe,
  ReadRequest,
  ResultColumn,
  RowSlice,
  Source,
  SourceRead,
} from '../../src/ports/source.ts';

export type FakeRow = readonly (string | null)[];

export interface FakeTable {
  query: string;
  columns: readonly ResultColumn[];
  /** Values as text, in the columns' order. */
  rows: readonly FakeRow[];
}

const rowsPerSlice = 64;

/** Integers sort by value, everything else by its characters. */
const compare = (a: string, b: string): number =>
  /^-?\d+$/.test(a) && /^-?\d+$/.test(b) ? Number(BigInt(a) - BigInt(b)) : a < b ? -1 : a > b ? 1 : 0;

export function createFakeSource({ query, columns, rows }: FakeTable): Source {
  const at = (name: string): number => columns.findIndex((column) => column.name === name);
  const requireQuery = (asked: string): void => {
    if (asked !== query) throw new PenstockError('SOURCE_SQL', 'The fake knows one query.');
  };

  const inRange = (request: ReadRequest) => (row: FakeRow) => {
    const { after, key, cursor, window, bounds } = request;
    const first = row[at(key[0]!)]!;
    if (bounds.after !== undefined && compare(first, bounds.after) <= 0) return false;
    if (bounds.upTo !== undefined && compare(first, bounds.upTo) > 0) return false;
    if (bounds.nulls === 'only') return false;
    if (after && compare(first, after[0]!) <= 0) return false;
    if (!cursor) return true;
    const value = row[at(cursor.column)] ?? null;
    if (value === null) return cursor.nulls === 'read';
    const isAbove = window.low === null || compare(value, window.low) > 0;
    return isAbove && window.high !== null && compare(value, window.high) <= 0;
  };

  const read = async (request: ReadRequest): Promise<SourceRead> => {
    requireQuery(request.query);
    const key = at(request.key[0]!);
    const left = rows.filter(inRange(request)).sort((a, b) => compare(a[key]!, b[key]!));
    return {
      next: async () => {
        request.signal.throwIfAborted();
        const taken = left.splice(0, rowsPerSlice);
        return taken.length > 0 ? sliceOf(taken) : null;
      },
      close: async () => {},
    };
  };

  return {
    probe: async (request): Promise<QueryProbe> => {
      requireQuery(request.query);
      for (const name of [...request.key, ...(request.cursor === null ? [] : [request.cursor])])
        if (at(name) < 0)
          throw new PenstockError('NOT_RESUMABLE', `The column ${name} is not in the result.`);
      return {
        columns,
        identity: 'fake',
        resumable: { possible: true, uniqueKey: true },
        keyMayBeNull: false,
        now: '2024-01-01 00:00:00+00',
        estimatedRows: rows.length,
        sortsForKey: false,
        reader: 'copy',
        formats: ['text'],
      };
    },
    fetchHigh: async ({ cursor, low }) => {
      const values = rows.map((row) => row[at(cursor.column)] ?? null);
      if (cursor.nulls === 'refuse' && values.includes(null))
        throw new PenstockError('CURSOR_NULL', 'The cursor is NULL in some rows.');
      const known = values.filter((value) => value !== null).sort(compare);
      const high = known.at(-1) ?? null;
      return high !== null && (low === null || compare(high, low) > 0) ? high : low;
    },
    splitKey: async ({ key, ranges, minRows }) => {
      const values = rows.map((row) => row[at(key[0]!)]!).sort(compare);
      const count = Math.min(ranges, Math.floor(values.length / minRows));
      const picked = Array.from(
        { length: Math.max(count - 1, 0) },
        (_, i) => values[Math.floor(((i + 1) * values.length) / count) - 1]!,
      );
      return [...new Set(picked)];
    },
    read,
    compare: () => {
      throw new PenstockError('INTERNAL', 'A fake has no SQL to compare with.');
    },
    check: async () => ({ version: 'fake' }),
    close: async () => {},
  };
}

function sliceOf(rows: readonly FakeRow[]): RowSlice {
  return { bytes: Buffer.from(rows.map(encodeRow).join('')), rows: rows.length, release: () => {} };
}
