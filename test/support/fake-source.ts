/**
 * A source in memory: one table whose values are text. It obeys the port's contract, but for `compare`, which a source may
 * lack. Its one query may go on with ` where <column> <= {{<placeholder>}}`; of casts it knows the one to text.
 */
import { createHash } from 'node:crypto';
import { encodeRow } from '../../src/copy/encode-rows.ts';
import { resolveMapping } from '../../src/copy/resolve-mapping.ts';
import { PenstockError } from '../../src/domain/errors.ts';
import type {
  CursorWindow,
  KeyText,
  MappedColumn,
  PartitionBounds,
  PlannedCursor,
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

/** What decides a result. */
interface Asked {
  query: string;
  window: CursorWindow;
  runTime?: string | undefined;
  mapping?: readonly MappedColumn[] | undefined;
}

/** Finds a row's value by its column. */
type Value = (row: FakeRow, name: string) => string | null;

interface Result {
  columns: readonly ResultColumn[];
  rows: readonly FakeRow[];
  value: Value;
}

const rowsPerSlice = 64;
const text = { typeOid: 25, typeName: 'text' };

/** Integers sort by value, everything else by its characters; NULL comes last. */
function compare(a: string | null, b: string | null): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return /^-?\d+$/.test(a) && /^-?\d+$/.test(b) ? Number(BigInt(a) - BigInt(b)) : a < b ? -1 : a > b ? 1 : 0;
}

const compareKeys = (a: KeyText, b: KeyText): number =>
  a.map((value, i) => compare(value, b[i]!)).find((order) => order !== 0) ?? 0;

/** Of a time as it is printed here; NULL is above nothing and below nothing. */
const isAbove = (a: string | null, b: string): boolean => a !== null && compare(a, b) > 0;

const earlier = (time: string, ms: number): string =>
  ms === 0 ? time : new Date(Date.parse(`${time}Z`) - ms).toISOString().slice(0, 19).replace('T', ' ');

export function createFakeSource(table: FakeTable): Source {
  const read = async (request: ReadRequest): Promise<SourceRead> => {
    const { rows, value } = resultOf(table, request);
    const { key, after, bounds, cursor, window } = request;
    const keyOf = (row: FakeRow): KeyText => key.map((name) => value(row, name));
    const mine = rows.filter(
      (row) => (!cursor || isInWindow(row, value, cursor, window)) && isInBounds(keyOf(row), bounds),
    );
    const isUnbounded = Object.keys(bounds).length === 0;
    if (after && isUnbounded && mine.some((row) => keyOf(row).includes(null)))
      throw new PenstockError('KEY_NULL', 'A key of the result is NULL.');
    const left = mine
      .filter((row) => !after || compareKeys(keyOf(row), after) > 0)
      .sort((a, b) => compareKeys(keyOf(a), keyOf(b)));
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
    probe: async ({ query, key, cursor, columns: mapped, mapping: known }): Promise<QueryProbe> => {
      const names = table.columns.map(({ name }) => name);
      const mapping = known ?? (mapped && resolveMapping(names, mapped));
      const { columns } = resultOf(table, { query, window: { low: null, high: null }, mapping });
      for (const name of [...key, ...(cursor === null ? [] : [cursor])])
        if (!columns.some((column) => column.name === name))
          throw new PenstockError('NOT_RESUMABLE', `The column ${name} is not in the result.`);
      return {
        columns,
        ...(mapping && { mapping }),
        identity: 'fake',
        resumable: { possible: true, uniqueKey: true },
        keyMayBeNull: false,
        now: '2024-01-01 00:00:00+00',
        estimatedRows: table.rows.length,
        sortsForKey: false,
        reader: 'copy',
        formats: ['text'],
      };
    },
    fetchHigh: async ({ cursor, low, ...asked }) => {
      const { rows, value } = resultOf(table, { ...asked, window: { low, high: null } });
      const values = rows.map((row) => value(row, cursor.column));
      if (cursor.nulls === 'refuse' && values.includes(null))
        throw new PenstockError('CURSOR_NULL', 'The cursor is NULL in some rows.');
      const high =
        values
          .filter((each) => each !== null)
          .sort(compare)
          .at(-1) ?? null;
      return high !== null && (low === null || compare(high, low) > 0) ? high : low;
    },
    splitKey: async ({ key, ranges, minRows, ...asked }) => {
      const { rows, value } = resultOf(table, asked);
      const values = rows.flatMap((row) => value(row, key[0]!) ?? []).sort(compare);
      const count = Math.min(ranges, Math.floor(values.length / minRows));
      const picked = Array.from(
        { length: Math.max(count - 1, 0) },
        (_, i) => values[Math.floor(((i + 1) * values.length) / count) - 1]!,
      );
      return [...new Set(picked)];
    },
    read,
    fetchFingerprint: async (query) => {
      const { rows } = resultOf(table, { query, window: { low: null, high: null } });
      return hashed(JSON.stringify(rows), true)!;
    },
    check: async () => ({ version: 'fake' }),
    close: async () => {},
  };
}

function resultOf({ query, columns, rows }: FakeTable, asked: Asked): Result {
  const [, place] = asked.query.split(query);
  if (place === undefined) throw new PenstockError('SOURCE_SQL', 'The fake knows one query.');
  const at = (name: string): number => columns.findIndex((column) => column.name === name);
  const [, column, placeholder] = /^ where (\w+) <= \{\{([\w.]+)\}\}$/.exec(place) ?? [];
  const found =
    column === undefined
      ? rows
      : rows.filter((row) => isUpTo(row[at(column)] ?? null, valueOf(placeholder!, asked)));
  if (!asked.mapping) return { columns, rows: found, value: (row, name) => row[at(name)] ?? null };
  const { mapping } = asked;
  return {
    columns: mapping.map(({ name, from, hash, cast }) => ({
      name,
      ...(hash || cast
        ? text
        : { typeOid: columns[at(from)]!.typeOid, typeName: columns[at(from)]!.typeName }),
    })),
    rows: found.map((row) => mapping.map(({ from, hash }) => hashed(row[at(from)] ?? null, hash))),
    value: (row, name) => row[mapping.findIndex((each) => each.name === name)] ?? null,
  };
}

const hashed = (value: string | null, hash: true | undefined): string | null =>
  hash && value !== null ? createHash('sha256').update(value).digest('hex') : value;

const isUpTo = (value: string | null, bound: string | null): boolean =>
  value !== null && bound !== null && compare(value, bound) <= 0;

/** Where the window has no end yet, `window.to` is greater than everything. */
const valueOf = (placeholder: string, { window, runTime }: Asked): string | null =>
  placeholder === 'run_time'
    ? (runTime ?? null)
    : placeholder === 'window.to'
      ? (window.high ?? '\u{10ffff}')
      : window.low;

function isInBounds(key: KeyText, { after, upTo, nulls }: PartitionBounds): boolean {
  const hasNull = key.includes(null);
  if (nulls !== undefined && hasNull !== (nulls === 'only')) return false;
  const first = key[0] ?? null;
  return (after === undefined || isAbove(first, after)) && (upTo === undefined || isUpTo(first, upTo));
}

function isInWindow(
  row: FakeRow,
  valueIn: Value,
  cursor: PlannedCursor,
  { low, high, again = [] }: CursorWindow,
): boolean {
  const value = valueIn(row, cursor.column);
  if (value === null) return cursor.nulls === 'read';
  if (!isUpTo(value, high)) return false;
  if (low === null || isAbove(value, earlier(low, cursor.lookbackMs))) return true;
  return again.some(
    ({ key, low: since }) =>
      Object.entries(key).every(([name, text]) => valueIn(row, name) === text) &&
      (since === null || isAbove(value, since)),
  );
}

function sliceOf(rows: readonly FakeRow[]): RowSlice {
  return { bytes: Buffer.from(rows.map(encodeRow).join('')), rows: rows.length, release: () => {} };
}
