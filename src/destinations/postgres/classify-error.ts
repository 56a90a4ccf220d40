/**
 * What an error of the destination means. Messages are ours: the server's may quote a row's value, so its words are
 * passed on only for codes whose text names objects and nothing else.
 */
import { codeOf, PenstockError, type ErrorCode } from '../../domain/errors.ts';
import { atEnd, connectionFault, sqlstateOf } from '../../postgres-client/driver-errors.ts';

/** An error as the server sends it. Message and detail may quote values. */
export interface ServerError extends Error {
  code?: string;
  detail?: string;
  schema?: string;
  table?: string;
  column?: string;
  constraint?: string;
  where?: string;
}

/** SQLSTATE, or the first letters of one, longest match first. */
const codes: readonly (readonly [string, ErrorCode])[] = [
  ['28', 'DESTINATION_AUTH'],
  ['3D', 'DESTINATION_AUTH'],
  ['42501', 'DESTINATION_PERMISSION'],
  ['42', 'TARGET_MISMATCH'],
  ['3F', 'TARGET_MISMATCH'],
  ['0A', 'TARGET_MISMATCH'],
  ['22', 'VALUE_REFUSED'],
  ['23', 'VALUE_REFUSED'],
  ['P0', 'VALUE_REFUSED'],
  ['44', 'VALUE_REFUSED'],
  ['53100', 'DESTINATION_FULL'],
  ['53', 'DESTINATION_BUSY'],
  ['54', 'VALUE_REFUSED'],
  ['40', 'DESTINATION_BUSY'],
  ['55', 'DESTINATION_BUSY'],
  ['57014', 'DESTINATION_BUSY'],
  ['25P03', 'DESTINATION_BUSY'],
  ['57', 'DESTINATION_UNREACHABLE'],
  ['58', 'DESTINATION_UNREACHABLE'],
  ['08', 'DESTINATION_UNREACHABLE'],
  ['25006', 'DESTINATION_UNREACHABLE'],
];

/** Their text names tables, columns, types and roles only. */
const namesObjectsOnly = /^(42P01|42P07|42703|42883|42501|42704|3F000|28...|3D000|53...|57...|40...|55P03)$/;

/** A server that means harm may say anything; what it says goes into rows and histories. */
const maxWords = 300;

/** Any error met while talking to a destination, as one of the table's. `doing` says what was tried, to what. */
export function classifyDestinationError(error: unknown, doing: string): PenstockError {
  if (codeOf(error) !== 'INTERNAL') return atEnd(error as PenstockError, 'destination');
  const sqlstate = sqlstateOf(error);
  const { message } = error as ServerError;
  if (sqlstate === undefined)
    return new PenstockError('DESTINATION_UNREACHABLE', `${doing}: ${connectionFault(error)}.`, {
      cause: error,
    });
  const known = ofOurOwnTables(error as ServerError);
  if (known) return known;
  const match = codes
    .filter(([prefix]) => sqlstate.startsWith(prefix))
    .sort(([a], [b]) => b.length - a.length)[0];
  const words = namesObjectsOnly.test(sqlstate)
    ? message.slice(0, maxWords)
    : `SQLSTATE ${sqlstate}${placeOf(error as ServerError)}`;
  return new PenstockError(match?.[1] ?? 'DESTINATION_BUSY', `${doing}: ${words}.`, {
    cause: error,
    meta: { sqlstate },
  });
}

/** Of the protocol's tables; a load's shadow, which is named after the load, holds the user's rows. */
export const isOfOurTables = ({ schema, table }: ServerError): boolean =>
  schema === '_penstock' && !table?.startsWith('lod_');

/** The protocol's own constraints: somebody else committed this batch, or the target's oid is not the frozen one. */
function ofOurOwnTables(error: ServerError): PenstockError | null {
  if (!isOfOurTables(error)) return null;
  const { table, column, code } = error;
  if (code === '23505') return new PenstockError('FENCED', `Another attempt has written this to ${table}.`);
  if (code === '23502' && column === 'relation')
    return new PenstockError(
      'TARGET_CHANGED',
      'The target table is not the one that the load was opened for.',
    );
  return null;
}

/** What COPY says of where it was: the line, which is the row, and the column; the value that follows is left out. */
const copyContext = /^COPY [^,]+, line (\d+)(?:, column ([^:]+))?/;

/** The row, from 0, and the column that an error of COPY is about. */
export function placeInCopy({ where }: ServerError): { row: number; column: string | undefined } | null {
  const found = copyContext.exec(where ?? '');
  return found && { row: Number(found[1]) - 1, column: found[2] };
}

/** Column and constraint, which are names. */
function placeOf(error: ServerError): string {
  const { column, constraint } = error;
  const named = column ?? placeInCopy(error)?.column;
  return `${named === undefined ? '' : `, column ${named}`}${constraint === undefined ? '' : `, constraint ${constraint}`}`;
}
