/**
 * What an error of a source means. Messages are ours: what the server says may quote a value or a literal of the query,
 * so its words are passed on only for codes whose text names objects and nothing else.
 */
import { codeOf, PenstockError, type ErrorCode } from '../../domain/errors.ts';
import { atEnd, connectionFault, sqlstateOf } from '../../postgres-client/driver-errors.ts';

interface ServerError extends Error {
  position?: string;
}

/** SQLSTATE, or the first letters of one, longest match first. */
const codes: readonly (readonly [string, ErrorCode])[] = [
  ['28', 'SOURCE_AUTH'],
  ['3D', 'SOURCE_AUTH'],
  ['42501', 'SOURCE_PERMISSION'],
  ['42', 'SOURCE_SQL'],
  ['22', 'SOURCE_SQL'],
  ['21', 'SOURCE_SQL'],
  ['2', 'SOURCE_SQL'],
  ['0A', 'SOURCE_SQL'],
  ['3F', 'SOURCE_SQL'],
  ['25006', 'QUERY_NOT_ALLOWED'],
  ['57P03', 'SOURCE_UNREACHABLE'],
  ['53300', 'SOURCE_THROTTLED'],
  ['53', 'SOURCE_UNREACHABLE'],
  ['08', 'SOURCE_UNREACHABLE'],
  ['40', 'SOURCE_INTERRUPTED'],
  ['57', 'SOURCE_INTERRUPTED'],
  ['55', 'SOURCE_INTERRUPTED'],
  ['58', 'SOURCE_INTERRUPTED'],
  ['XX', 'SOURCE_INTERRUPTED'],
];

/** Their text names tables, columns, functions and roles only. */
const namesObjectsOnly =
  /^(42P01|42703|42883|42501|42702|42803|42704|3F000|28...|3D000|53...|57...|40...|55P03)$/;

/** A server that means harm may say anything; what it says goes into rows and histories. */
const maxWords = 300;

/** Any error met while talking to a source, as one of the table's. `doing` says what was tried, to what. */
export function classifySourceError(error: unknown, doing: string): PenstockError {
  if (codeOf(error) !== 'INTERNAL') return atEnd(error as PenstockError, 'source');
  const { message, position } = error as ServerError;
  const code = sqlstateOf(error);
  if (code === undefined)
    return new PenstockError('SOURCE_UNREACHABLE', `${doing}: ${connectionFault(error)}.`, { cause: error });
  const match = codes
    .filter(([prefix]) => code.startsWith(prefix))
    .sort(([a], [b]) => b.length - a.length)[0];
  const words = namesObjectsOnly.test(code) ? message.slice(0, maxWords) : `SQLSTATE ${code}`;
  const where = /^\d{1,9}$/.test(position ?? '') ? ` at position ${position} of the statement` : '';
  return new PenstockError(match?.[1] ?? 'SOURCE_INTERRUPTED', `${doing}: ${words}${where}.`, {
    cause: error,
    meta: { sqlstate: code },
  });
}
