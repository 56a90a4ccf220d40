/** Identifiers and literals for SQL that cannot carry parameters (COPY, SET, several statements at once). */
import { escapeIdentifier, escapeLiteral } from 'pg';

export const ident = (name: string): string => escapeIdentifier(name);

/** A string literal, the same whatever standard_conforming_strings is. */
export const literal = (text: string): string => escapeLiteral(text);

/** `array['a',null]::text[]`, or null. */
export const textArray = (values: readonly (string | null)[] | null): string =>
  values === null
    ? 'null'
    : `array[${values.map((value) => (value === null ? 'null' : literal(value))).join(', ')}]::text[]`;
