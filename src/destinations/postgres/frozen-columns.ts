/** The target's columns as a load relies on them, from when it was opened to its end. */
import { changedColumns, schemaChanged } from '../../copy/changed-columns.ts';
import type { PenstockError } from '../../domain/errors.ts';
import { describeTarget } from './describe-target.ts';
import type { Sql, SqlRows } from './destination-session.ts';
import { fitColumns } from './fit-columns.ts';

import type { LoadPlan } from '../../ports/destination.ts';
import { textArray } from '../../postgres-client/quote.ts';
import type { LoadRow } from './load-row.ts';
import { writtenColumns } from './scoped.ts';
import { columnsState } from './target-columns.ts';

export interface FrozenColumn {
  name: string;
  typeName: string;
  /** Which column bears the name: another number is another column, without the rows that were written. */
  number: number;
}

/** @param relation SQL for the target's oid */
const selectColumns = (relation: string, plan: LoadPlan): string =>
  `select attname as name, format_type(atttypid, atttypmod) as "typeName", attnum::int as number
     from pg_attribute
    where attrelid = ${relation} and attname = any (${textArray(writtenColumns(plan))}) and not attisdropped
    order by attnum`;

const describe = (sql: SqlRows, { relation, plan }: Pick<LoadRow, 'plan' | 'relation'>) =>
  sql<FrozenColumn>(selectColumns('$1::oid', plan), [relation]);

/**
 * SQL for what a load keeps of them, as they are now: `target_columns`, and `columns_state`.
 *
 * @param relation SQL for the target's oid
 */
export const columnsNow = (relation: string, plan: LoadPlan): string =>
  `(select coalesce(jsonb_agg(c order by c.number), '[]') from (${selectColumns(relation, plan)}) as c),
   ${columnsState(relation, writtenColumns(plan))}`;

/**
 * Whether a load can be gone on with: every column is there that its rows were written to. One that has another type by
 * now, which keeps all values, is frozen anew. SCHEMA_CHANGED when a type does not keep them.
 */
export async function refreezeColumns(sql: Sql, load: LoadRow): Promise<boolean> {
  const now = await describe(sql, load);
  const isThere = ({ name, number }: FrozenColumn): boolean =>
    now.some((column) => column.name === name && column.number === number);
  if (!load.targetColumns.every(isThere)) return false;
  const { columns: present } = await describeTarget(sql, load.plan.target);
  const { plan } = load;
  await fitColumns(sql, { plan, present: present ?? [], before: plan, onSchemaChange: 'fail' });
  await sql(
    `update _penstock.load set (target_columns, columns_state) = row(${columnsNow('relation', plan)}) where id = $1`,
    [load.id],
  );
  return true;
}

/** SCHEMA_CHANGED when the columns are not what they were; null when they are. */
export async function findColumnChange(sql: SqlRows, load: LoadRow): Promise<PenstockError | null> {
  const now = await describe(sql, load);
  const changes = changedColumns(load.targetColumns, now);
  const moved = load.targetColumns.flatMap(({ name, typeName, number }) =>
    now.some((column) => column.name === name && column.number !== number)
      ? [{ name, was: typeName, is: null }]
      : [],
  );
  const all = [...changes.filter(({ name }) => !moved.some((each) => each.name === name)), ...moved];
  const { schema, table } = load.plan.target;
  return all.length === 0 ? null : schemaChanged(`the table ${schema}.${table}`, all);
}
