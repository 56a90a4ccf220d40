/**
 * Puts a table in the place of another, with its indexes, grants, owner and comment. Renaming takes a moment, during which
 * nobody reads; who reads before sees the old rows, who reads after the new ones.
 */
import type { LoadId } from '../../../domain/ids.ts';
import type { TableName } from '../../../ports/destination.ts';
import { ident } from '../../../postgres-client/quote.ts';
import type { Sql } from '../destination-session.ts';
import { orTargetLocked, targetLocked, type Holder } from '../target-locked.ts';
import { qualifiedName } from '../target-name.ts';
import { shadowOf } from './shadow.ts';

/** Of an index of the new table, by the index of the old one that it will stand for. */
const indexName = (oid: string): string => `idx_${oid}`;

/** Builds what the old table has of indexes, in `_penstock`, under names of their own. */
export async function buildIndexes(sql: Sql, oldTable: string, newName: string): Promise<void> {
  const wanted = await sql<{
    name: string;
    unique: string;
    rest: string;
    constraint: string | null;
    excludes: string | null;
  }>(
    `select 'idx_' || i.indexrelid as name, case when indisunique then 'unique ' else '' end as unique,
            substr(pg_get_indexdef(i.indexrelid), strpos(pg_get_indexdef(i.indexrelid), ' USING ')) as rest,
            case k.contype when 'p' then 'primary key' when 'u' then 'unique' end
              || format(' using index idx_%s', i.indexrelid)
              || case when condeferrable then ' deferrable' else '' end
              || case when condeferred then ' initially deferred' else '' end as constraint,
            case k.contype when 'x' then pg_get_constraintdef(k.oid) end as excludes
       from pg_index i left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
      where i.indrelid = $1::oid order by i.indexrelid`,
    [oldTable],
  );
  for (const { name, unique, rest, constraint, excludes } of wanted) {
    if (excludes === null) await sql(`create ${unique}index ${name} on ${newName} ${rest}`);
    const added = excludes ?? constraint;
    if (added !== null) await sql(`alter table ${newName} add constraint ${name} ${added}`);
  }
  await commentOn(sql, oldTable, newName);
}

async function commentOn(sql: Sql, oldTable: string, newName: string): Promise<void> {
  const comments = await sql<{ sql: string }>(
    `select format('comment on index _penstock.idx_%s is %L', indexrelid, obj_description(indexrelid, 'pg_class')) as sql
       from pg_index where indrelid = $1::oid and obj_description(indexrelid, 'pg_class') is not null
     union all
     select format('comment on constraint idx_%s on ' || $2 || ' is %L', conindid, obj_description(oid, 'pg_constraint'))
       from pg_constraint where conrelid = $1::oid and contype in ('p', 'u', 'x')
        and obj_description(oid, 'pg_constraint') is not null`,
    [oldTable, newName],
  );
  for (const { sql: statement } of comments) await sql(statement);
}

/** Drops what `buildIndexes` has built. */
export async function dropIndexes(sql: Sql, newName: string): Promise<void> {
  const built = await sql<{ sql: string }>(
    `select case when k.oid is null then format('drop index %s', indexrelid::regclass)
                 else format('alter table %s drop constraint %I', indrelid::regclass, conname) end as sql
       from pg_index left join pg_constraint k on k.conindid = indexrelid and k.contype in ('p', 'u', 'x')
      where indrelid = to_regclass($1)`,
    [newName],
  );
  for (const { sql: statement } of built) await sql(statement);
}

/** What makes the new table the old one’s equal, beside what both are made of: whose it is, and who may do what. */
const heirloom = `
  with old as (select * from pg_class where oid = $1::oid),
    new as (select * from pg_class where oid = to_regclass($2)),
    holder as (
      select format('all on %s from %s', $3::text, case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end) as of
        from new, aclexplode(coalesce(relacl, acldefault('r', relowner)))
      union select format('all on %s from %I', $3::text, pg_get_userbyid(relowner)) from old)
  select 1 as step, format('alter table %s owner to %I', $3::text, pg_get_userbyid(relowner)) as sql
    from old where relowner <> (select relowner from new)
  union all
  select 2, 'revoke ' || holder.of from holder, old, new where old.relacl is not null or new.relacl is not null
  union all
  select 3, format('grant %s on %s to %s%s', privilege_type, $3::text,
      case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
      case when is_grantable then ' with grant option' else '' end)
    from old, new, aclexplode(coalesce(old.relacl, acldefault('r', old.relowner)))
   where old.relacl is not null or new.relacl is not null
  union all
  select 3, format('grant %s (%I) on %s to %s%s', privilege_type, attname, $3::text,
      case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
      case when is_grantable then ' with grant option' else '' end)
    from pg_attribute, aclexplode(attacl) where attrelid = $1::oid and not attisdropped
  union all
  select 4, format('comment on table %s is %L', $3::text, obj_description($1::oid, 'pg_class'))
    where obj_description($1::oid, 'pg_class') is not null
  order by 1`;

export interface Swap {
  /** The oid of the table to be replaced. */
  oldTable: string;
  shadow: LoadId;
  target: TableName;
  /** The name that the old table is kept under; null: it is dropped. */
  keepAs: string | null;
}

/** The caller holds ACCESS EXCLUSIVE on the old table and has seen that nothing else is in the way. */
export async function swapTables(sql: Sql, { oldTable, shadow, target, keepAs }: Swap): Promise<void> {
  const name = qualifiedName(target);
  const schema = ident(target.schema);
  const heirlooms = await sql<{ sql: string }>(heirloom, [oldTable, shadowOf(shadow), name]);
  const indexes = await sql<{ oid: string; name: string }>(
    'select indexrelid::text as oid, relname as name from pg_index join pg_class c on c.oid = indexrelid where indrelid = $1::oid',
    [oldTable],
  );
  if (keepAs === null) await sql(`drop table ${name}`);
  else {
    await sql(`alter table ${name} rename to ${ident(keepAs)}`);
    for (const index of indexes)
      await sql(`alter index ${schema}.${ident(index.name)} rename to ${ident(`previous_${index.oid}`)}`);
  }
  await sql(`alter table ${shadowOf(shadow)} set schema ${schema}`);
  await sql(`alter table ${schema}.${ident(shadow)} rename to ${ident(target.table)}`);
  for (const index of indexes)
    await sql(`alter index ${schema}.${indexName(index.oid)} rename to ${ident(index.name)}`);
  for (const { sql: statement } of heirlooms) await sql(statement);
}

/**
 * Waits until no vacuum is at the table; readers and writers go on. Who waits here for a second has an autovacuum cancelled,
 * unless it prevents a wraparound. The lock is given back: held while ACCESS EXCLUSIVE is waited for, it would be a deadlock
 * with DDL in a transaction that has read the table. TARGET_LOCKED.
 */
export async function sendVacuumAway(sql: Sql, target: TableName): Promise<void> {
  await lock(sql, target, 'share update exclusive');
  await sql('rollback to savepoint unlocked');
}

/** How long readers may be kept away by a worker that freezes in the middle of a swap, or by what it still waits for. */
export const frozenMs = 3_000;

/**
 * Takes ACCESS EXCLUSIVE, waiting for a moment only: whoever wants to read queues behind us for no longer. TARGET_LOCKED
 * names who holds it. What is waited for afterwards, such as an autovacuum of what is TOASTed, is waited for longer.
 */
export async function lockExclusively(sql: Sql, target: TableName, lockMs: number): Promise<void> {
  await sql(`set local lock_timeout = ${lockMs}`);
  await lock(sql, target, 'access exclusive');
  await sql(`set local lock_timeout = ${frozenMs}`);
}

const lock = (sql: Sql, target: TableName, mode: string): Promise<void> =>
  orTargetLocked(sql, target, 'swapped', () => sql(`lock table ${qualifiedName(target)} in ${mode} mode`));

/**
 * TARGET_LOCKED while a transaction goes on whose snapshot is older than the rows of the load: it would find the new table
 * empty. One that rests and was to publish this very load has been replaced by us, who hold the load's row, and is ended.
 */
export async function requireNewSnapshots(sql: Sql, load: string, target: TableName): Promise<void> {
  const [holder] = await sql<Holder>(
    `select a.pid, a.application_name as name, 'a snapshot from before the rows that are to be published' as holds
       from pg_stat_activity a, _penstock.load l
      where l.id = $1 and a.datname = current_database() and a.pid <> pg_backend_pid()
        and a.usesysid is not null -- an autovacuum reads for nobody; its type is hidden from most logins
        and a.backend_xmin is not null
        and age(a.backend_xmin) >= age(l.xmin) and (a.xact_start is null or a.xact_start <= l.loaded_at)
      limit 1`,
    [load],
  );
  if (holder)
    await sql(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where pid = $1 and application_name = $2 and state = 'idle in transaction'`,
      [holder.pid, `penstock:${load}:finish`],
    );
  if (holder) throw targetLocked(target, 'swapped', holder);
}
