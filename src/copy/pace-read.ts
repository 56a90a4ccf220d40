/**
 * A read at a pace: its slices are handed on in parts, each when the share of the attempt covers it. The batch in hand goes on
 * ageing meanwhile, and who waits for the part looks at the clock and at `drain` as with a source that is slow by itself: so
 * no transaction is held open for the pace, and whatever ends an attempt ends it at once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RowFormat, RowSlice, SourceRead } from '../ports/source.ts';
import type { Amount, ReadPace } from './read-pace.ts';
import { rowReader, type ReadRow } from './row-format.ts';

/** A share may change while a part waits for it. */
const lookMs = 200;

interface Paced {
  pace: Pick<ReadPace, 'part' | 'take'>;
  format: RowFormat;
  signal: AbortSignal;
}

/** The same rows, in order. What waits is given up when the read is closed. */
export function paceRead(read: SourceRead, { pace, format, signal }: Paced): SourceRead {
  const closing = new AbortController();
  const stop = AbortSignal.any([signal, closing.signal]);
  const readRow = rowReader(format, []);
  let rest: RowSlice | null = null;

  const nextPart = async (slice: RowSlice): Promise<RowSlice> => {
    for (;;) {
      const end = endOfPart(slice, pace.part, readRow);
      const waitMs = pace.take({ rows: end.rows, bytes: end.at }, performance.now());
      if (waitMs === 0) {
        const [part, left] = split(slice, end);
        rest = left;
        return part;
      }
      await delay(Math.min(waitMs, lookMs), undefined, { signal: stop });
    }
  };

  return {
    next: async () => {
      const slice = rest ?? (await read.next());
      return slice === null || slice.rows === 0 ? slice : nextPart(slice);
    },
    close: async () => {
      closing.abort();
      await read.close();
    },
  };
}

interface PartEnd {
  at: number;
  rows: number;
}

/** As many rows as fit into the amount, and at least one. */
function endOfPart({ bytes, rows }: RowSlice, most: Amount, readRow: ReadRow): PartEnd {
  if (rows <= most.rows && bytes.length <= most.bytes) return { at: bytes.length, rows };
  const spans = new Int32Array(0);
  let end: PartEnd = { at: readRow(bytes, 0, spans), rows: 1 };
  while (end.rows < Math.min(rows, most.rows)) {
    const at = readRow(bytes, end.at, spans);
    if (at > most.bytes) break;
    end = { at, rows: end.rows + 1 };
  }
  return end;
}

/** The last part gives the slice's memory back. */
function split(slice: RowSlice, { at, rows }: PartEnd): [RowSlice, RowSlice | null] {
  if (rows === slice.rows) return [slice, null];
  const part = { bytes: slice.bytes.subarray(0, at), rows, release: () => {} };
  const left = {
    bytes: slice.bytes.subarray(at),
    rows: slice.rows - rows,
    release: () => slice.release(),
  };
  return [part, left];
}
