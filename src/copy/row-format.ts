/**
 * COPY's two row formats, read without converting anything: where a row ends, and where the fields of its key lie.
 * Binary: int16 field count, then per field int32 length (-1 is NULL) and bytes. Text: fields separated by tab, a row
 * ended by a line feed, `\N` is NULL; a raw tab or line feed never occurs inside a value (it is escaped).
 */
import { PenstockError } from '../domain/errors.ts';
import type { RowFormat } from '../ports/source.ts';

/** Where fields lie: start and end of field i at 2i and 2i+1; a NULL has start -1. */
export type Spans = Int32Array;

/** Reads the row at `start`, writes the spans of the wanted fields, and returns the offset after the row. */
export type ReadRow = (bytes: Buffer, start: number, spans: Spans) => number;

/** @param fields positions of the wanted fields in the row, any order */
export function rowReader(format: RowFormat, fields: readonly number[]): ReadRow {
  const slotOf = new Int32Array(Math.max(0, ...fields) + 1).fill(-1);
  fields.forEach((field, slot) => (slotOf[field] = slot));
  return format === 'binary' ? binaryReader(slotOf) : textReader(slotOf);
}

function binaryReader(slotOf: Int32Array): ReadRow {
  return (bytes, start, spans) => {
    let at = start + 2;
    const count = bytes.readInt16BE(start);
    for (let field = 0; field < count; field++) {
      const length = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
      at += 4;
      const slot = field < slotOf.length ? slotOf[field]! : -1;
      if (slot >= 0) {
        spans[2 * slot] = length < 0 ? -1 : at;
        spans[2 * slot + 1] = at + length;
      }
      if (length > 0) at += length;
    }
    if (!(at <= bytes.length)) throw tornRow();
    return at;
  };
}

const tab = 0x09;
const lineFeed = 0x0a;
const backslash = 0x5c;
const capitalN = 0x4e;

function textReader(slotOf: Int32Array): ReadRow {
  return (bytes, start, spans) => {
    let at = start;
    for (let field = 0; field < slotOf.length; field++) {
      const from = at;
      while (bytes[at] !== tab && bytes[at] !== lineFeed && at < bytes.length) at++;
      const slot = slotOf[field]!;
      if (slot >= 0) {
        const isNull = at - from === 2 && bytes[from] === backslash && bytes[from + 1] === capitalN;
        spans[2 * slot] = isNull ? -1 : from;
        spans[2 * slot + 1] = at;
      }
      if (bytes[at] !== tab) break;
      at++;
    }
    const end = bytes[at] === lineFeed ? at : bytes.indexOf(lineFeed, at);
    if (end < 0 || at >= bytes.length) throw tornRow();
    return end + 1;
  };
}

const tornRow = (): PenstockError =>
  new PenstockError('END_NOT_PROVEN', 'The bytes of the result end inside a row.');

/** Whether the wanted fields of two rows hold the same bytes. A NULL equals another. */
export function sameFields(a: Buffer, spansA: Spans, b: Buffer, spansB: Spans): boolean {
  for (let i = 0; i < spansA.length; i += 2) {
    const [fromA, fromB] = [spansA[i]!, spansB[i]!];
    const length = spansA[i + 1]! - fromA;
    if (fromA < 0 || fromB < 0) {
      if (fromA === fromB) continue;
      return false;
    }
    if (spansB[i + 1]! - fromB !== length) return false;
    for (let k = 0; k < length; k++) if (a[fromA + k] !== b[fromB + k]) return false;
  }
  return true;
}

export const hasNull = (spans: Spans): boolean => {
  for (let i = 0; i < spans.length; i += 2) if (spans[i]! < 0) return true;
  return false;
};
