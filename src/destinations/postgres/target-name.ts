/** What a target is called, in statements and in errors. */
import { PenstockError } from '../../domain/errors.ts';
import type { LoadPlan, TableName } from '../../ports/destination.ts';
import { ident } from '../../postgres-client/quote.ts';

export const qualifiedName = ({ schema, table }: TableName): string => `${ident(schema)}.${ident(table)}`;

export const mismatch = ({ target }: LoadPlan, what: string): PenstockError =>
  new PenstockError('TARGET_MISMATCH', `The target ${target.schema}.${target.table} ${what}.`, {
    pointer: '/destination/table',
  });

export const rowsSwallowed = ({ target }: LoadPlan): PenstockError =>
  new PenstockError(
    'ROWS_SWALLOWED',
    `Rows that were sent to ${target.schema}.${target.table} are not there: a trigger or a rule on it swallows them.`,
  );
