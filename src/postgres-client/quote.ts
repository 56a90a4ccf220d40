/** Identifiers and literals for SQL that cannot carry parameters (COPY, SET, several statements at once). */
import { escapeIdentifier, escapeLiteral } from 'pg';

export const ident = (name: string): string => escapeIdentifier(name);

/** Several, as a list of columns. */
export const identList = (names: readonly string[]): string => names.map(ident).join(', ');

/** A string literal, the same whatever standard_conforming_strings is. */
export const literal = (text: string): string => escapeLiteral(text);

/** A timestamptz as ISO 8601 in UTC; `expression` is SQL. */
export const isoOf = (expression: string): string =>
  `to_char(${expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** `array['a',null]::text[]`, or null. */
export const textArray = (values: readonly (string | null)[] | null): string =>
  values === null
    ? 'null'
    : `array[${values.map((value) => (value === null ? 'null' : literal(value))).join(', ')}]::text[]`;
