/** What differs between the columns that a load relies on and those that are there now. */
import { PenstockError } from '../domain/errors.ts';
import type { ResultColumn } from '../ports/source.ts';

type NamedType = Pick<ResultColumn, 'name' | 'typeName'>;

export interface ColumnChange {
  readonly name: string;
  readonly was: string;
  /** Null: it is gone. */
  readonly is: string | null;
}

/** Columns that are gone or have another type; those that are new change nothing for who does not know them. */
export const changedColumns = (before: readonly NamedType[], now: readonly NamedType[]): ColumnChange[] =>
  before.flatMap(({ name, typeName: was }) => {
    const is = now.find((each) => each.name === name)?.typeName ?? null;
    return is === was ? [] : [{ name, was, is }];
  });

/** @param where whose columns they are: "the result", "the table public.t" */
export function schemaChanged(where: string, changes: readonly ColumnChange[], more = ''): PenstockError {
  const list = changes
    .map(({ name, was, is }) =>
      is === null ? `${name} (${was}) is gone` : `${name} is ${is} now, was ${was}`,
    )
    .join('; ');
  return new PenstockError('SCHEMA_CHANGED', `The columns of ${where} have changed: ${list}.${more}`, {
    meta: { columns: changes.map(({ name }) => name).join(', ') },
  });
}
