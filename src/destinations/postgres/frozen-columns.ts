/** The target's columns as a load relies on them, from when it was opened to its end. */
import { changedColumns, schemaChanged } from '../../copy/changed-columns.ts';
import type { PenstockError } from '../../domain/errors.ts';
import { describeTarget } from './describe-target.ts';
import type { Sql, SqlRows } from './destination-session.ts';
import { fitColumns } from './fit-columns.ts';

import type { LoadRow } from './load-row.ts';
import { writtenColumns } from './scoped.ts';
import { columnsState } from './target-columns.ts';

export interface FrozenColumn {
  name: string;
  typeName: string;
  /** Which column bears the name: another number is another column, without the rows that were written. */
  number: number;
}

type Frozen = Pick<LoadRow, 'id' | 'plan' | 'relation'>;

const describe = (sql: SqlRows, load: Frozen): Promise<FrozenColumn[]> =>
  sql<FrozenColumn>(
    `select attname as name, format_type(atttypid, atttypmod) as "typeName", attnum::int as number
       from pg_attribute where attrelid = $1::oid and attname = any ($2) and not attisdropped order by attnum`,
    [load.relation, writtenColumns(load.plan)],
  );

/** Freezes them as they are now. */
export async function freezeColumns(sql: SqlRows, load: Frozen): Promise<void> {
  await sql(
    `update _penstock.load set target_columns = $2, columns_state = ${columnsState('relation', writtenColumns(load.plan))} where id = $1`,
    [load.id, JSON.stringify(await describe(sql, load))],
  );
}

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
  await freezeColumns(sql, load);
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
