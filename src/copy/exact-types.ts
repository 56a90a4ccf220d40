/**
 * Types of which equal values are written with equal bytes, in text and in binary, by their OIDs in pg_type.dat. With
 * others equality hides a difference: -0 = 0, 1.0 = 1.00, 1 day = 24 hours, two boxes of one area, citext, jsonb …
 */
// prettier-ignore
const exactTypes = new Set([
  16, 17, 18, 19, 20, 21, 23, 25, 26, 790, 5069, // bool bytea "char" name int8 int2 int4 text oid money xid8
  650, 829, 869, 774, 1560, 1562, 2950, 3220, // cidr macaddr inet macaddr8 bit varbit uuid pg_lsn
  1043, 1082, 1083, 1114, 1184, // varchar date time timestamp timestamptz
]);

/** Exact when they have a modifier: one scale (numeric), one length (character). */
const exactWithModifier = new Set([1700, 1042]);

const collatableTypes = new Set([19, 25, 1042, 1043]);

/** @param modifier of the column, -1 for none */
export const isExact = (typeOid: number, modifier: number): boolean =>
  exactTypes.has(typeOid) || (exactWithModifier.has(typeOid) && modifier >= 0);

/** Exact under a deterministic collation only. */
export const isCollatable = (typeOid: number): boolean => collatableTypes.has(typeOid);
