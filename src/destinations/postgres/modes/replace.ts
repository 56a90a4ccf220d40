/**
 * Replace: the whole result waits in a shadow, and takes the place of the target's rows at once. Readers see the old rows
 * or the new ones, never none.
 *
 * Usually the shadow itself takes the target's place: it gets the target's indexes, and in a second transaction, which holds
 * ACCESS EXCLUSIVE for a moment, its name. Where the target has what a table in its place would not have (a view of it, a
 * trigger, a publication …), and where only the rows of a scope are to be replaced, these rows are deleted and the shadow's
 * inserted in one transaction. TRUNCATE would be faster, but whoever's snapshot is older would find the table empty.
 */
import { PenstockError } from '../../../domain/errors.ts';
import { writeModes } from '../../../domain/write-modes.ts';
import type { TableName } from '../../../ports/destination.ts';
import { asRole } from '../as-role.ts';
import type { Sql } from '../destination-session.ts';
import type { LoadRow } from '../load-row.ts';
import { requireTarget } from '../require-target.ts';
import { sumCheckpoints } from '../sum-checkpoints.ts';
import { qualifiedName, rowsSwallowed } from '../target-name.ts';
import { writingTarget } from '../writing-target.ts';
import { allNew } from './append.ts';
import { tooManyDeletes } from './delete-guard.ts';
import { rowLock, type Foreseen, type Mode, type Outlook, type Published, type Publishing } from './mode.ts';
import { createShadow, dropShadow, emptyShadow, insertShadow, shadowOf } from './shadow.ts';
import { isLive } from './soft-delete.ts';
import {
  buildIndexes,
  dropIndexes,
  frozenMs,
  lockExclusively,
  requireNewSnapshots,
  sendVacuumAway,
  swapTables,
} from './swap.ts';
import { findObstacles, refusalBy, replaceRefused } from './swap-obstacles.ts';
import { findDifference } from './table-shape.ts';

/** What the table before is kept as, when it is kept. */
const previousName = ({ table }: TableName): string => `${table}_previous`;

export const replace: Mode = {
  ...writeModes.replace,
  rights: ['SELECT', 'INSERT', 'DELETE'],
  foresee,
  staged: true,
  open: async (sql, load, publishing) => {
    await chooseWay(sql, load, publishing);
    await createShadow(sql, load, publishing.role);
  },
  restart: emptyShadow,
  route: ({ load }) => allNew(shadowOf(load.id)),
  publish: (sql, load, publishing) =>
    load.phase === 'loaded' ? swap(sql, load, publishing) : build(sql, load, publishing),
  clear: dropShadow,
};

async function foresee(sql: Sql, { plan, relation, role, keepPrevious }: Foreseen): Promise<Outlook> {
  const obstacles =
    relation === null ? [] : await findObstacles(sql, relation, { role, inPart: plan.scope !== undefined });
  const [obstacle] = obstacles;
  const swapped = {
    lock: 'ACCESS EXCLUSIVE',
    when: 'for a moment, when the new table takes its place; tried again when it is not free',
  };
  const rewritten = {
    lock: 'SHARE ROW EXCLUSIVE',
    when: `while its rows are deleted and the new ones inserted, in one transaction: it cannot be swapped because of ${obstacle?.what}. Readers do not wait, writers do`,
  };
  const inScope = {
    lock: rowLock,
    when: 'while the rows of its scope are deleted and the new ones inserted, in one transaction',
  };
  return {
    locks: [plan.scope ? inScope : obstacle ? rewritten : swapped],
    refusal: refusalBy(obstacles, plan.target, { keepPrevious }),
  };
}

/** Whether the shadow may take the target's place. REPLACE_REFUSED. */
async function chooseWay(sql: Sql, load: LoadRow, publishing: Publishing): Promise<'swap' | 'rewrite'> {
  const obstacles = await findObstacles(sql, load.relation, {
    role: publishing.role,
    inPart: load.plan.scope !== undefined,
  });
  const refusal = refusalBy(obstacles, load.plan.target, publishing);
  if (refusal) throw refusal;
  return obstacles.length > 0 || load.plan.scope ? 'rewrite' : 'swap';
}

/** The first transaction: makes the shadow like the target, or publishes its rows where it may not take the target's place. */
async function build(sql: Sql, load: LoadRow, publishing: Publishing): Promise<Published> {
  const shadow = shadowOf(load.id);
  const committed = await sumCheckpoints(sql, load.id);
  const rows = committed.rows - committed.rejected;
  const refusal = await guardShrinking(sql, load, { rows, ...publishing });
  if (refusal) return { phase: 'abandoned', refused: refusal };
  if ((await chooseWay(sql, load, publishing)) === 'rewrite') return rewrite(sql, load, publishing, rows);
  await dropIndexes(sql, shadow);
  const [there] = await sql<{ rows: string; relation: string }>(
    `select count(*)::text as rows, to_regclass($1)::oid::text as relation from ${shadow}`,
    [shadow],
  );
  if (Number(there!.rows) !== rows)
    throw new PenstockError(
      'RECEIPT_MISMATCH',
      `The shadow of the load ${load.id} does not hold the rows that were counted.`,
    );
  await buildIndexes(sql, load.relation, shadow);
  const difference = await findDifference(sql, load.relation, there!.relation);
  if (difference !== null) {
    if (publishing.keepPrevious) throw replaceRefused(load.plan.target, difference);
    return rewrite(sql, load, publishing, rows);
  }
  await sql(`analyze ${shadow}`);
  await sql('update _penstock.load set loaded_at = clock_timestamp() where id = $1', [load.id]);
  return { phase: 'loaded' };
}

/** Whether the table would shrink by more than it may. */
async function guardShrinking(
  sql: Sql,
  { plan }: LoadRow,
  { rows, maxDeletePercent, role }: Publishing & { rows: number },
): Promise<PenstockError | null> {
  const count = `select count(*)::text as rows from ${qualifiedName(plan.target)} as t where ${isLive(plan)}`;
  const [there] = await asRole(sql, role, () => sql<{ rows: string }>(count));
  const before = Number(there!.rows);
  return tooManyDeletes({ plan, gone: Math.max(before - rows, 0), of: before, maxDeletePercent });
}

/**
 * Deletes the sync's rows and inserts the shadow's, while readers do not wait. Neither do writers of other scopes; where all
 * rows are the sync's, whoever else may write there does.
 */
async function rewrite(sql: Sql, load: LoadRow, { role }: Publishing, rows: number): Promise<Published> {
  const { plan } = load;
  const target = qualifiedName(plan.target);
  const inserted = await writingTarget(sql, { load, role }, async () => {
    if (!plan.scope) await sql(`lock table ${target} in share row exclusive mode`);
    await sql(`delete from ${target} as t where ${isLive(plan)}`);
    return insertShadow(sql, load);
  });
  if (inserted !== rows) throw rowsSwallowed(plan);
  return { phase: 'done' };
}

/** The second transaction: the shadow becomes the target, unless something came in its way; then all is looked at again. */
async function swap(sql: Sql, load: LoadRow, { role, keepPrevious, lockMs }: Publishing): Promise<Published> {
  const { relation, sync, plan } = load;
  const shadow = shadowOf(load.id);
  const keepAs = keepPrevious ? previousName(plan.target) : null;
  await sql(`set local idle_in_transaction_session_timeout = ${frozenMs}`);
  // Nobody reads the shadow: what holds it is waited for before anybody waits for us.
  await sql(`lock table ${shadow} in access exclusive mode`);
  await sendVacuumAway(sql, plan.target);
  // Only now: every claim in this database waits for it.
  await sql('lock table _penstock.target in row exclusive mode');
  if (keepAs !== null) await dropPrevious(sql, load, lockMs);
  await lockExclusively(sql, plan.target, lockMs);
  await requireTarget(sql, load);
  const [{ oid } = { oid: '' }] = await sql<{ oid: string }>('select to_regclass($1)::oid::text as oid', [
    shadow,
  ]);
  const isClear = (await findObstacles(sql, relation, { role })).length === 0;
  if (!isClear || (await findDifference(sql, relation, oid)) !== null) return { phase: 'loading' };
  await requireNewSnapshots(sql, load.id, plan.target);
  await swapTables(sql, { oldTable: relation, shadow: load.id, target: plan.target, keepAs });
  await sql('update _penstock.target set relation = $3, previous = $4 where relation = $1 and sync = $2', [
    relation,
    sync,
    oid,
    keepAs === null ? null : relation,
  ]);
  return { phase: 'done' };
}

/** One generation is kept: the one before goes. REPLACE_REFUSED when the name is somebody else's. */
async function dropPrevious(
  sql: Sql,
  { relation, sync, plan: { target } }: LoadRow,
  lockMs: number,
): Promise<void> {
  const previous = { schema: target.schema, table: previousName(target) };
  const [there] = await sql<{ oid: string; isOurs: boolean }>(
    `select c.oid::text as oid, exists (select from _penstock.target
         where relation = $2 and sync = $3 and previous = c.oid)
         and not exists (select from _penstock.target where relation = c.oid) as "isOurs"
       from pg_class c where c.oid = to_regclass($1)`,
    [qualifiedName(previous), relation, sync],
  );
  if (!there) return;
  if (!there.isOurs)
    throw replaceRefused(target, `the table ${previous.table}, which this sync has not kept`);
  const [obstacle] = await findObstacles(sql, there.oid);
  if (obstacle) throw replaceRefused(target, `${obstacle.what}, which depends on ${previous.table}`);
  await sendVacuumAway(sql, previous);
  await lockExclusively(sql, previous, lockMs);
  await sql(`drop table ${qualifiedName(previous)}`);
}
