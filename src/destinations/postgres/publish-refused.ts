/**
 * Rows that the target refuses when a load is published: by a unique index, or by a foreign key when they go. Nothing of it
 * is published and no row is rejected, since which of those that contradict each other would have to go is nobody's to pick.
 */
import { PenstockError } from '../../domain/errors.ts';
import type { Refusal } from '../../ports/partition-writer.ts';
import type { Sql } from './destination-session.ts';
import type { LoadRow } from './load-row.ts';
import { insertRejects } from './rejects.ts';

/** Says what refuses and what to change, and keeps the server's words for people to see. To be thrown after the commit. */
export async function publishRefused(sql: Sql, load: LoadRow, refusal: Refusal): Promise<PenstockError> {
  const { sqlstate } = refusal;
  const constraint = await nameInTarget(sql, refusal.constraint);
  const cause =
    refusal.constraint && constraint
      ? refusal.cause.replaceAll(refusal.constraint, constraint)
      : refusal.cause;
  const why = { ...refusal, constraint, cause, key: null, rows: 1, values: [] };
  await insertRejects(sql, { load, partition: 1, batch: 0, stopped: true }, [why]);
  const { mode, target } = load.plan;
  const by =
    constraint === null ? `SQLSTATE ${sqlstate}` : `the constraint ${constraint} (SQLSTATE ${sqlstate})`;
  const what =
    mode === 'mirror'
      ? `what is gone from the result cannot be deleted because of ${by}. Delete first what refers to it, or set softDelete; the next run goes on with it.`
      : `rows are refused by ${by}, and none is published; maxRejects does not cover it. Mend them at the source or in the query, or change the constraint.`;
  return new PenstockError(
    'VALUE_REFUSED',
    `Publishing ${target.schema}.${target.table}: ${what} What the server says of it: penstock rejects, or the table _penstock.reject there.`,
    { meta: { sqlstate, constraint } },
  );
}

/** A shadow's indexes are named after those that they stand for. */
async function nameInTarget(sql: Sql, constraint: string | null): Promise<string | null> {
  const [, oid] = /^idx_(\d+)$/.exec(constraint ?? '') ?? [];
  if (oid === undefined) return constraint;
  const [index] = await sql<{ name: string }>('select relname as name from pg_class where oid = $1::oid', [
    oid,
  ]);
  return index?.name ?? constraint;
}
