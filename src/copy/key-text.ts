/**
 * A key's value as the source would print it, from the bytes of a row: this is what a checkpoint keeps and what the
 * next attempt's statement compares with. Text rows are unescaped; of binary rows only the types below are read, and a
 * key of another type makes the load travel as text.
 */
import { PenstockError } from '../domain/errors.ts';
import type { RowFormat } from '../ports/source.ts';

type Decode = (bytes: Buffer) => string;

const utf8: Decode = (bytes) => bytes.toString('utf8');
const hex: Decode = (bytes) => bytes.toString('hex');

const dayMs = 86_400_000;
const year2000Ms = Date.UTC(2000, 0, 1);
const maxInt4 = 0x7fffffff;
const maxInt8 = 0x7fffffffffffffffn;

/** Type OIDs of pg_type.dat; they never change. */
const decoders: Readonly<Record<number, Decode>> = {
  16: (bytes) => (bytes[0] === 1 ? 'true' : 'false'), // boolean
  17: (bytes) => `\\x${hex(bytes)}`, // bytea
  19: utf8, // name
  20: (bytes) => bytes.readBigInt64BE().toString(), // bigint
  21: (bytes) => bytes.readInt16BE().toString(), // smallint
  23: (bytes) => bytes.readInt32BE().toString(), // integer
  25: utf8, // text
  26: (bytes) => bytes.readUInt32BE().toString(), // oid
  1042: utf8, // character
  1043: utf8, // character varying
  1082: decodeDate, // date
  1114: (bytes) => decodeTimestamp(bytes, ''), // timestamp
  1184: (bytes) => decodeTimestamp(bytes, '+00'), // timestamp with time zone
  2950: (bytes) => hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'), // uuid
};

/** Whether a binary key of this type can be turned into text here. */
export const isBinaryKey = (typeOid: number): boolean => decoders[typeOid] !== undefined;

/** The value of one field of a row. Throws KEY_NULL for NULL (`undefined`). */
export function keyText(format: RowFormat, typeOid: number, field: Buffer | undefined): string {
  if (field === undefined) throw new PenstockError('KEY_NULL', 'A key column of the result is NULL.');
  if (format === 'text') return unescapeText(field);
  return decoders[typeOid]!(field);
}

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** Undoes COPY's escaping: `\t`, `\\` …; Postgres never writes octal or hex escapes. */
function unescapeText(field: Buffer): string {
  const text = field.toString('utf8');
  return text.includes('\\') ? text.replace(/\\(.)/gs, (_, c: string) => escapes[c] ?? c) : text;
}

/** int32 days since 2000-01-01; the extremes are the infinities. */
function decodeDate(bytes: Buffer): string {
  const days = bytes.readInt32BE();
  if (days === maxInt4) return 'infinity';
  if (days === -maxInt4 - 1) return '-infinity';
  const { date, era } = printDay(days);
  return date + era;
}

/** int64 microseconds since 2000-01-01; the extremes are the infinities. */
function decodeTimestamp(bytes: Buffer, zone: string): string {
  const micros = bytes.readBigInt64BE();
  if (micros === maxInt8) return 'infinity';
  if (micros === -maxInt8 - 1n) return '-infinity';
  const perDay = 86_400_000_000n;
  const days = micros / perDay - (micros % perDay < 0n ? 1n : 0n);
  const inDay = Number(micros - days * perDay);
  const { date, era } = printDay(Number(days));
  const two = (n: number): string => String(n).padStart(2, '0');
  const seconds = Math.floor(inDay / 1e6);
  const fraction = inDay % 1e6 === 0 ? '' : `.${String(inDay % 1e6).padStart(6, '0')}`;
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return `${date} ${clock}${fraction}${zone}${era}`;
}

/** The proleptic Gregorian day, with Postgres' era; years beyond a JavaScript Date are moved by whole 400-year cycles. */
function printDay(days: number): { date: string; era: string } {
  const cycleDays = 146_097;
  const cycles = Math.floor(days / cycleDays);
  const day = new Date(year2000Ms + (days - cycles * cycleDays) * dayMs);
  const year = day.getUTCFullYear() + cycles * 400;
  const shown = year > 0 ? year : 1 - year;
  const rest = day.toISOString().slice(4, 10);
  return { date: String(shown).padStart(4, '0') + rest, era: year > 0 ? '' : ' BC' };
}
