/**
 * The rows of a batch as units: the rows of one key, which are refused together. To take some of them and not the others
 * would leave the key half written, and reading it again would write the first half twice.
 */
import type { ResultColumn, RowFormat } from '../ports/source.ts';
import { isBinaryKey, keyText } from './key-text.ts';
import { rowReader, sameFields, type Spans } from './row-format.ts';

export interface RowsOfBatch {
  /** Whole rows; no key begins in one of these and goes on in the next. */
  readonly slices: readonly Buffer[];
  readonly format: RowFormat;
  readonly columns: readonly ResultColumn[];
  /** Empty: rows come in no order, and each is a unit. */
  readonly key: readonly string[];
  readonly uniqueKey: boolean;
}

/** As the source would print it; of a value that is long the beginning, of one in an unknown binary form its bytes in hex. */
type ShownValues = (string | null)[];

export interface RowUnits {
  readonly count: number;
  /** The rows of units [from, to). */
  rowsOf(from: number, to: number): number;
  /** Their bytes, a piece for each slice that they lie in. */
  bytesOf(from: number, to: number): Buffer[];
  /** The unit of a row, counted from the first one of unit `from`. */
  unitOf(from: number, row: number): number;
  /** The key, null when there is none, and the values of the unit's first row. */
  show(unit: number): { key: ShownValues | null; values: ShownValues };
}

/** Values are kept for people to see what is wrong with a row, not to write it from. */
const shownLength = 1_000;

export function rowUnits({ slices, format, columns, key, uniqueKey }: RowsOfBatch): RowUnits {
  const keyFields = key.map((name) => columns.findIndex((column) => column.name === name));
  const readKey = rowReader(format, keyFields);
  const newSpans = (): Spans => new Int32Array(2 * keyFields.length);
  /** Of each unit: its slice, where it begins there, and the rows before it; then one more for the end. */
  const [inSlice, starts, rowsBefore]: [number[], number[], number[]] = [[], [], []];
  let rows = 0;
  for (const [i, bytes] of slices.entries()) {
    let [spans, before] = [newSpans(), newSpans()];
    for (let at = 0; at < bytes.length; rows++) {
      const end = readKey(bytes, at, spans);
      const joins = !uniqueKey && key.length > 0 && at > 0 && sameFields(bytes, before, bytes, spans);
      if (!joins) {
        inSlice.push(i);
        starts.push(at);
        rowsBefore.push(rows);
      }
      [spans, before] = [before, spans];
      at = end;
    }
  }
  const count = starts.length;
  rowsBefore.push(rows);

  const readAll = rowReader(
    format,
    columns.map((_, i) => i),
  );
  return {
    count,
    rowsOf: (from, to) => rowsBefore[to]! - rowsBefore[from]!,
    bytesOf: (from, to) => {
      const last = to === count ? slices.length - 1 : inSlice[to]!;
      return slices
        .slice(inSlice[from], last + 1)
        .map((bytes, i, all) =>
          bytes.subarray(
            i === 0 ? starts[from] : 0,
            i === all.length - 1 && to < count ? starts[to] : bytes.length,
          ),
        )
        .filter((bytes) => bytes.length > 0);
    },
    unitOf: (from, row) => {
      const wanted = rowsBefore[from]! + row;
      let [low, high] = [from, count - 1];
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if (rowsBefore[middle]! <= wanted) low = middle;
        else high = middle - 1;
      }
      return low;
    },
    show: (unit) => {
      const bytes = slices[inSlice[unit]!]!;
      const spans: Spans = new Int32Array(2 * columns.length);
      readAll(bytes, starts[unit]!, spans);
      const textOf = (column: number): string | null =>
        spans[2 * column]! < 0
          ? null
          : fieldText(
              format,
              columns[column]!.typeOid,
              bytes.subarray(spans[2 * column], spans[2 * column + 1]),
            );
      return {
        key: keyFields.length === 0 ? null : keyFields.map(textOf),
        values: columns.map((_, column) => textOf(column)?.slice(0, shownLength) ?? null),
      };
    },
  };
}

function fieldText(format: RowFormat, typeOid: number, field: Buffer): string {
  if (format === 'text' || isBinaryKey(typeOid)) return keyText(format, typeOid, field);
  return binaryText[typeOid]?.(field) ?? `\\x${field.toString('hex')}`;
}

/** Types that no key has, by their OIDs in pg_type.dat. */
const binaryText: Readonly<Record<number, (field: Buffer) => string>> = {
  114: (field) => field.toString('utf8'), // json
  700: (field) => String(field.readFloatBE()), // real
  701: (field) => String(field.readDoubleBE()), // double precision
  3802: (field) => field.toString('utf8', 1), // jsonb, after its version
};
