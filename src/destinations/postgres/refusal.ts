/** Rows that the target refuses: SQLSTATE classes 22 (a value that it cannot hold) and 23 (a constraint). */
import type { Refusal } from '../../ports/partition-writer.ts';
import { sqlstateOf } from '../../postgres-client/driver-errors.ts';
import { isOfOurTables, placeInCopy, type ServerError } from './classify-error.ts';

/** COPY could not tell where a field ends: it is our framing that is at fault, and no row. */
const badFraming = '22P04';

/** An exclusion constraint's detail quotes the row that was there first, which may be another tenant's. */
const quotesAnother = '23P01';

/** Why an error of the server's refuses rows; null for every other error, and for those of our own tables. */
export function refusalOf(error: unknown): Refusal | null {
  const sqlstate = sqlstateOf(error);
  if (!sqlstate || !/^2[23]/.test(sqlstate) || sqlstate === badFraming) return null;
  const answer = error as ServerError;
  if (isOfOurTables(answer)) return null;
  const { message, detail, column, constraint } = answer;
  const copied = placeInCopy(answer);
  return {
    sqlstate,
    column: column ?? copied?.column ?? null,
    constraint: constraint ?? null,
    cause: detail === undefined || sqlstate === quotesAnother ? message : `${message}: ${detail}`,
    row: copied?.row ?? null,
  };
}
