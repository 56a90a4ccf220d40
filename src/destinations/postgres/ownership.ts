/**
 * Who may write a table. No two syncs may have a row in common, unless both only add rows: then neither can harm what the
 * other has written. The partitions and children of a table hold its rows, so they count as the table itself.
 */
import { PenstockError } from '../../domain/errors.ts';
import type { SyncId } from '../../domain/ids.ts';
import { areDisjoint, type TargetScope } from '../../domain/target-scope-spec.ts';
import type { LoadPlan } from '../../ports/destination.ts';
import type { Sql } from './destination-session.ts';
import { modeOf } from './modes/modes.ts';

interface Share {
  /** It only adds rows. */
  shared: boolean;
  scope: TargetScope;
}

export const mayShare = (one: Share, other: Share): boolean =>
  (one.shared && other.shared) || areDisjoint(one.scope, other.scope);

const shareOf = (plan: LoadPlan): Share => ({ shared: modeOf(plan).onlyAdds, scope: plan.scope ?? {} });

interface Writers {
  sync: SyncId;
  relation: string;
}

/** Another sync with which a share of the table may not be had. */
export async function findRival(sql: Sql, { sync, relation }: Writers, share: Share): Promise<SyncId | null> {
  const others = await sql<Share & { sync: SyncId }>(
    `with recursive above (oid) as (
         select $1::oid union select inhparent from pg_inherits join above on inhrelid = above.oid),
       below (oid) as (
         select $1::oid union select inhrelid from pg_inherits join below on inhparent = below.oid)
     select sync, shared, scope from _penstock.target
      where sync <> $2 and relation in (select oid from above union select oid from below) order by sync`,
    [relation, sync],
  );
  return others.find((other) => !mayShare(share, other))?.sync ?? null;
}

/** TARGET_OWNED. Of the other sync its id is told, which opens nothing to another tenant, and not its name or scope. */
export async function requireOwnership(sql: Sql, writers: Writers, plan: LoadPlan): Promise<void> {
  const owner = await findRival(sql, writers, shareOf(plan));
  if (owner === null) return;
  const { schema, table } = plan.target;
  throw new PenstockError(
    'TARGET_OWNED',
    `The sync ${owner} writes to ${schema}.${table}, and the two could write the same rows of it.`,
    { pointer: '/destination/table', meta: { owner } },
  );
}

/** Whether the sync is an owner already, as this plan wants it and of nothing else; it stays one until the transaction ends. */
export async function holdOwnership(sql: Sql, { sync, relation }: Writers, plan: LoadPlan): Promise<boolean> {
  const { shared, scope } = shareOf(plan);
  const held = await sql(
    `select from _penstock.target
      where sync = $1 and relation = $2 and shared = $3 and scope = $4::jsonb
        and not exists (select from _penstock.target where sync = $1 and relation <> $2) for share`,
    [sync, relation, shared, JSON.stringify(scope)],
  );
  return held.length > 0;
}

/** Makes the sync an owner. Who calls holds the lock under which it was found that it may be. */
export async function own(sql: Sql, { sync, relation }: Writers, plan: LoadPlan): Promise<void> {
  const { shared, scope } = shareOf(plan);
  // A sync that has moved lets go of the table it wrote before: another may have it, and no reset empties it.
  await sql('delete from _penstock.target where sync = $1 and relation <> $2', [sync, relation]);
  await sql(
    `insert into _penstock.target (relation, sync, shared, scope) values ($1, $2, $3, $4)
         on conflict (relation, sync) do update set shared = excluded.shared, scope = excluded.scope`,
    [relation, sync, shared, JSON.stringify(scope)],
  );
}
