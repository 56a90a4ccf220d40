/**
 * Replace: the whole result waits in a shadow, and takes the place of the target's rows at once. Readers see the old rows
 * or the new ones, never none.
 *
 * Usually the shadow itself takes the target's place: it gets the target's indexes, and in a second transaction, which holds
 * ACCESS EXCLUSIVE for a moment, its name. Where the target has what a table in its place would not have (a view of it, a
 * trigger, a publication …), and where only the rows of a scope are to be replaced, these rows are deleted and the shadow's inserted in one transaction. TRUNCATE would be faster, but
 * whoever's snapshot is older would find the table empty.
 */
import { PenstockError } from '../../../domain/errors.ts';
import { writeModes } from '../../../domain/write-modes.ts';
import type { TableName } from '../../../ports/destination.ts';
import { asRole } from '../as-role.ts';
import type { Run } from '../destination-session.ts';
import type { LoadRow } from '../load.ts';
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
  open: async (run, load, publishing) => {
    await chooseWay(run, load, publishing);
    await createShadow(run, load, publishing.role);
  },
  restart: emptyShadow,
  route: ({ load }) => allNew(shadowOf(load.id)),
  publish: (run, load, publishing) =>
    load.phase === 'loaded' ? swap(run, load, publishing) : build(run, load, publishing),
  clear: dropShadow,
};

async function foresee(run: Run, { plan, relation, role, keepPrevious }: Foreseen): Promise<Outlook> {
  const obstacles =
    relation === null ? [] : await findObstacles(run, relation, { role, inPart: plan.scope !== undefined });
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
async function chooseWay(run: Run, load: LoadRow, publishing: Publishing): Promise<'swap' | 'rewrite'> {
  const obstacles = await findObstacles(run, load.relation, {
    role: publishing.role,
    inPart: load.plan.scope !== undefined,
  });
  const refusal = refusalBy(obstacles, load.plan.target, publishing);
  if (refusal) throw refusal;
  return obstacles.length > 0 || load.plan.scope ? 'rewrite' : 'swap';
}

/** The first transaction: makes the shadow like the target, or publishes its rows where it may not take the target's place. */
async function build(run: Run, load: LoadRow, publishing: Publishing): Promise<Published> {
  const shadow = shadowOf(load.id);
  const committed = await sumCheckpoints(run, load.id);
  const rows = committed.rows - committed.rejected;
  const refusal = await guardShrinking(run, load, { rows, ...publishing });
  if (refusal) return { phase: 'abandoned', refused: refusal };
  if ((await chooseWay(run, load, publishing)) === 'rewrite') return rewrite(run, load, publishing, rows);
  await dropIndexes(run, shadow);
  const [there] = await run<{ rows: string; relation: string }>(
    `select count(*)::text as rows, to_regclass($1)::oid::text as relation from ${shadow}`,
    [shadow],
  );
  if (Number(there!.rows) !== rows)
    throw new PenstockError(
      'RECEIPT_MISMATCH',
      `The shadow of the load ${load.id} does not hold the rows that were counted.`,
    );
  await buildIndexes(run, load.relation, shadow);
  const difference = await findDifference(run, load.relation, there!.relation);
  if (difference !== null) {
    if (publishing.keepPrevious) throw replaceRefused(load.plan.target, difference);
    return rewrite(run, load, publishing, rows);
  }
  await run(`analyze ${shadow}`);
  await run('update _penstock.load set loaded_at = clock_timestamp() where id = $1', [load.id]);
  return { phase: 'loaded' };
}

/** Whether the table would shrink by more than it may. */
async function guardShrinking(
  run: Run,
  { plan }: LoadRow,
  { rows, maxDeletePercent, role }: Publishing & { rows: number },
): Promise<PenstockError | null> {
  const count = `select count(*)::text as rows from ${qualifiedName(plan.target)} as t where ${isLive(plan)}`;
  const [there] = await asRole(run, role, () => run<{ rows: string }>(count));
  const before = Number(there!.rows);
  return tooManyDeletes({ plan, gone: Math.max(before - rows, 0), of: before, maxDeletePercent });
}

/**
 * Deletes the sync's rows and inserts the shadow's, while readers do not wait. Neither do writers of other scopes; where all
 * rows are the sync's, whoever else may write there does.
 */
async function rewrite(run: Run, load: LoadRow, { role }: Publishing, rows: number): Promise<Published> {
  const { plan } = load;
  const target = qualifiedName(plan.target);
  const inserted = await writingTarget(run, { load, role }, async () => {
    if (!plan.scope) await run(`lock table ${target} in share row exclusive mode`);
    await run(`delete from ${target} as t where ${isLive(plan)}`);
    return insertShadow(run, load);
  });
  if (inserted !== rows) throw rowsSwallowed(plan);
  return { phase: 'done' };
}

/** The second transaction: the shadow becomes the target, unless something came in its way; then all is looked at again. */
async function swap(run: Run, load: LoadRow, { role, keepPrevious, lockMs }: Publishing): Promise<Published> {
  const { relation, sync, plan } = load;
  const shadow = shadowOf(load.id);
  const keepAs = keepPrevious ? previousName(plan.target) : null;
  await run(`set local idle_in_transaction_session_timeout = ${frozenMs}`);
  // Nobody reads the shadow: what holds it is waited for before anybody waits for us.
  await run(`lock table ${shadow} in access exclusive mode`);
  await sendVacuumAway(run, plan.target);
  // Only now: every claim in this database waits for it.
  await run('lock table _penstock.target in row exclusive mode');
  if (keepAs !== null) await dropPrevious(run, load, lockMs);
  await lockExclusively(run, plan.target, lockMs);
  await requireTarget(run, load);
  const [{ oid } = { oid: '' }] = await run<{ oid: string }>('select to_regclass($1)::oid::text as oid', [
    shadow,
  ]);
  const isClear = (await findObstacles(run, relation, { role })).length === 0;
  if (!isClear || (await findDifference(run, relation, oid)) !== null) return { phase: 'loading' };
  await requireNewSnapshots(run, load.id, plan.target);
  await swapTables(run, { oldTable: relation, shadow: load.id, target: plan.target, keepAs });
  await run('update _penstock.target set relation = $3, previous = $4 where relation = $1 and sync = $2', [
    relation,
    sync,
    oid,
    keepAs === null ? null : relation,
  ]);
  return { phase: 'done' };
}

/** One generation is kept: the one before goes. REPLACE_REFUSED when the name is somebody else's. */
async function dropPrevious(
  run: Run,
  { relation, sync, plan: { target } }: LoadRow,
  lockMs: number,
): Promise<void> {
  const previous = { schema: target.schema, table: previousName(target) };
  const [there] = await run<{ oid: string; isOurs: boolean }>(
    `select c.oid::text as oid, exists (select from _penstock.target
         where relation = $2 and sync = $3 and previous = c.oid)
         and not exists (select from _penstock.target where relation = c.oid) as "isOurs"
       from pg_class c where c.oid = to_regclass($1)`,
    [qualifiedName(previous), relation, sync],
  );
  if (!there) return;
  if (!there.isOurs)
    throw replaceRefused(target, `the table ${previous.table}, which this sync has not kept`);
  const [obstacle] = await findObstacles(run, there.oid);
  if (obstacle) throw replaceRefused(target, `${obstacle.what}, which depends on ${previous.table}`);
  await sendVacuumAway(run, previous);
  await lockExclusively(run, previous, lockMs);
  await run(`drop table ${qualifiedName(previous)}`);
}
