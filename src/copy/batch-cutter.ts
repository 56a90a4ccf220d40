/**
 * Cuts a stream of whole rows into batches.
 *
 *  1. A batch ends at the first row end at or past its limits (rows, bytes), or earlier when its owner says so.
 *  2. What `cut` has yielded may always be the end of a batch: where a key may repeat, the rows of the last key are held
 *     back until another key arrives. So a batch is only ever cut where the key changes, and "after this key" misses none.
 *  3. A key with more rows than a batch may have is KEY_TIE_TOO_LARGE; a NULL in a key is KEY_NULL, unless such keys are
 *     what is read: then one NULL equals another.
 *
 * Two keys are told apart by their bytes; the plan admits only types whose equal values have equal bytes.
 */
import { PenstockError } from '../domain/errors.ts';
import type { KeyText, ResultColumn, RowFormat, RowSlice } from '../ports/source.ts';
import { keyText } from './key-text.ts';
import { hasNull, rowReader, sameFields, type ReadRow, type Spans } from './row-format.ts';

export interface CutterOptions {
  format: RowFormat;
  columns: readonly ResultColumn[];
  key: readonly string[];
  uniqueKey: boolean;
  /** The rows are those with a NULL in their key. */
  readsNullKeys?: boolean;
  maxRows: number;
  maxBytes: number;
}

/** Rows of the batch in hand. */
export interface BatchPart {
  slice: RowSlice;
  /** The batch is full after them. */
  ends: boolean;
  /** Rows of the next batch are at hand. */
  goesOn: boolean;
}

export interface BatchCutter {
  /** Takes the next rows and yields what is certain of them. */
  cut(slice: RowSlice): Iterable<BatchPart>;
  /** The result has ended: yields what was held back. */
  end(): Iterable<BatchPart>;
  /** The owner ended the batch before its limits. */
  endBatch(): void;
  /** The key of a part's last row, as source text. */
  lastKey(slice: RowSlice): KeyText;
}

/** Rows of one key, copied out of their slices. */
interface HeldRows {
  bytes: Buffer;
  rows: number;
  spans: Spans;
}

/** Of one attempt at a partition, from its first row. Reads no row that it has not been given whole: END_NOT_PROVEN. */
export function createCutter(options: CutterOptions): BatchCutter {
  const fields = options.key.map((name) => options.columns.findIndex((column) => column.name === name));
  const readRow = rowReader(options.format, fields);
  const newSpans = (): Spans => new Int32Array(2 * fields.length);
  let batchRows = 0;
  let batchBytes = 0;
  let held: HeldRows | null = null;

  const isFull = (): boolean => batchRows >= options.maxRows || batchBytes >= options.maxBytes;

  /** Invariant 1. The slice ends where a batch may end. */
  function* limit(slice: RowSlice): Generator<BatchPart> {
    let from = 0;
    let rows = slice.rows;
    while (rows > 0) {
      const bytesLeft = slice.bytes.length - from;
      const fits = batchRows + rows < options.maxRows && batchBytes + bytesLeft < options.maxBytes;
      const part = fits ? { end: slice.bytes.length, rows } : cutPoint(slice.bytes, from, rows);
      batchRows += part.rows;
      batchBytes += part.end - from;
      const ends = isFull();
      if (ends) batchRows = batchBytes = 0;
      const isLast = part.rows === rows;
      const bytes = slice.bytes.subarray(from, part.end);
      yield {
        slice: { bytes, rows: part.rows, release: isLast ? () => slice.release() : () => {} },
        ends,
        goesOn: ends && !isLast,
      };
      from = part.end;
      rows -= part.rows;
    }
  }

  /** The first place at or past the limits where the batch may end. */
  function cutPoint(bytes: Buffer, from: number, rows: number): { end: number; rows: number } {
    let [spans, before] = [newSpans(), newSpans()];
    let at = from;
    for (let taken = 0; taken < rows; taken++) {
      const full = batchRows + taken >= options.maxRows || batchBytes + (at - from) >= options.maxBytes;
      const end = readRow(bytes, at, spans);
      if (full && taken > 0 && (options.uniqueKey || !sameFields(bytes, before, bytes, spans)))
        return { end: at, rows: taken };
      [spans, before] = [before, spans];
      at = end;
    }
    return { end: at, rows };
  }

  /** Invariant 2: yields slices that end where the key changes; holds the last key's rows back. */
  function* holdBack(slice: RowSlice): Generator<RowSlice> {
    const { first, last, hasNullKey } = findKeyChanges(slice, readRow, newSpans);
    if (hasNullKey && !options.readsNullKeys)
      throw new PenstockError('KEY_NULL', 'A key column of the result is NULL.');
    const { bytes, rows } = slice;
    const joins = held !== null && sameFields(held.bytes, held.spans, bytes, first.spans);
    if (joins && first.end === bytes.length) {
      hold(Buffer.concat([held!.bytes, bytes]), held!.rows + rows);
      slice.release();
      return;
    }
    const from = joins ? first : { end: 0, rows: 0 };
    if (held) {
      yield joins
        ? copied([held.bytes, bytes.subarray(0, first.end)], held.rows + first.rows)
        : copied([held.bytes], held.rows);
    }
    hold(Buffer.from(bytes.subarray(last.start)), rows - last.rowsBefore);
    if (last.start > from.end) {
      const middle = bytes.subarray(from.end, last.start);
      yield { bytes: middle, rows: last.rowsBefore - from.rows, release: () => slice.release() };
    } else slice.release();
  }

  /** Invariant 3. */
  function hold(bytes: Buffer, rows: number): void {
    if (rows > 1 && (rows > options.maxRows || bytes.length > options.maxBytes)) {
      throw new PenstockError(
        'KEY_TIE_TOO_LARGE',
        `More than ${rows - 1} rows share one value of the key (${options.key.join(', ')}), and a batch is never cut between them.`,
      );
    }
    const spans = newSpans();
    readRow(bytes, 0, spans);
    held = { bytes, rows, spans };
  }

  return {
    *cut(slice) {
      if (slice.rows === 0) slice.release();
      else if (options.uniqueKey) yield* limit(slice);
      else for (const part of holdBack(slice)) yield* limit(part);
    },
    *end() {
      if (held) yield* limit(copied([held.bytes], held.rows));
      held = null;
    },
    endBatch: () => {
      batchRows = batchBytes = 0;
    },
    lastKey: ({ bytes, rows }) => {
      const spans = newSpans();
      let at = 0;
      for (let row = 0; row < rows; row++) at = readRow(bytes, at, spans);
      return fields.map((field, i) => {
        const from = spans[2 * i]!;
        if (from < 0 && options.readsNullKeys) return null;
        const value = from < 0 ? undefined : bytes.subarray(from, spans[2 * i + 1]);
        return keyText(options.format, options.columns[field]!.typeOid, value);
      });
    },
  };
}

const copied = (pieces: Buffer[], rows: number): RowSlice => ({
  bytes: pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces),
  rows,
  release: () => {},
});

/** Where the first key of a slice ends and where its last one starts. */
function findKeyChanges(slice: RowSlice, readRow: ReadRow, newSpans: () => Spans) {
  const { bytes, rows } = slice;
  const first = { spans: newSpans(), end: 0, rows: 0 };
  const last = { start: 0, rowsBefore: 0 };
  let [spans, before] = [newSpans(), newSpans()];
  let hasNullKey = false;
  let at = 0;
  for (let row = 0; row < rows; row++) {
    const end = readRow(bytes, at, spans);
    hasNullKey ||= hasNull(spans);
    if (row === 0) first.spans.set(spans);
    else if (!sameFields(bytes, before, bytes, spans)) {
      if (first.end === 0) [first.end, first.rows] = [at, row];
      [last.start, last.rowsBefore] = [at, row];
    }
    [spans, before] = [before, spans];
    at = end;
  }
  if (first.end === 0) [first.end, first.rows] = [at, rows];
  return { first, last, hasNullKey };
}
