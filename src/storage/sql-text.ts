/** SQL expressions that several statements share. Arguments are SQL, never values. */

/** A timestamptz as ISO 8601 in UTC with milliseconds; null stays null. */
export const isoOf = (expression: string): string =>
  `to_char(${expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** A timestamptz as whole microseconds since the Unix epoch, exactly. */
export const microsOf = (expression: string): string =>
  `(extract(epoch from ${expression}) * 1000000)::bigint`;

/** Whole microseconds since the Unix epoch as a timestamptz, exactly. */
export const fromMicros = (expression: string): string =>
  `(timestamptz 'epoch' + ${expression} * interval '1 microsecond')`;
