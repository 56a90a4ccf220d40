/** Rows that are marked instead of deleted, in SQL. */
import type { SoftDelete } from '../../../ports/destination.ts';
import { ident } from '../../../postgres-client/quote.ts';

/** "The row is marked"; never NULL. */
export const isMarked = (alias: string, { column, kind }: SoftDelete): string =>
  `(${alias}.${ident(column)} is ${kind === 'boolean' ? 'true' : 'not null'})`;

/** Of an update's `set`. */
export const mark = ({ column, kind }: SoftDelete): string =>
  `${ident(column)} = ${kind === 'boolean' ? 'true' : 'pg_catalog.now()'}`;

/** Of an update's `set`. */
export const unmark = ({ column, kind }: SoftDelete): string =>
  `${ident(column)} = ${kind === 'boolean' ? 'false' : 'null'}`;
