/**
 * What a table has beside columns, defaults, checks, indexes, grants and comments. A table that takes its place would not
 * have it: views, foreign keys, publications and functions would go on with the old one or break, policies and triggers
 * would be gone. What the catalog names and this file does not know is in the way, too.
 */
import { PenstockError } from '../../../domain/errors.ts';
import type { TableName } from '../../../ports/destination.ts';
import type { Sql } from '../destination-session.ts';

export interface Obstacle {
  /** As PostgreSQL describes it: `rule _RETURN on view public.report`. */
  what: string;
  /** Deleting all rows and inserting others is not safe either. */
  blocksRewrite: boolean;
}

interface Swapped {
  role?: string | undefined;
  /** Some of its rows give way, not all: those that refer to them may be others’. */
  inPart?: boolean;
}

/** Everything of the table that would not survive its being swapped by the connected login. */
export const findObstacles = (
  sql: Sql,
  relation: string,
  { role, inPart }: Swapped = {},
): Promise<Obstacle[]> =>
  sql<Obstacle>(
    `with target as (select * from pg_class where oid = $1::oid)
     select what, bool_or(blocks) as "blocksRewrite"
       from (${dependents} union all ${ownTraits} union all ${rights}) as found(what, blocks)
      group by what order by 2 desc, 1`,
    [relation, role ?? null, inPart ?? false],
  );

/** REPLACE_REFUSED when the table's rows may not be rewritten either, or when it is to be kept and cannot be. */
export const refusalBy = (
  [first]: readonly Obstacle[],
  target: TableName,
  { keepPrevious }: { keepPrevious?: boolean | undefined },
): PenstockError | null =>
  first && (first.blocksRewrite || keepPrevious) ? replaceRefused(target, first.what) : null;

export const replaceRefused = ({ schema, table }: TableName, what: string): PenstockError =>
  new PenstockError(
    'REPLACE_REFUSED',
    `The table ${schema}.${table} cannot be replaced because of ${what}.`,
    { pointer: '/mode' },
  );

/**
 * Whatever pg_depend says refers to the table or to its row type, but for what is made anew with it. Not safe to rewrite:
 * what would delete elsewhere, fire for every old row, or do something else instead.
 */
const dependents = `
  select pg_describe_object(d.classid, d.objid, 0),
         coalesce(k.contype = 'f' and (k.conrelid <> k.confrelid or $3) and k.confrelid = $1::oid
           or t.tgrelid = $1::oid and t.tgenabled <> 'D' and t.tgtype & 8 <> 0 -- on delete
           or r.ev_class = $1::oid
           or c.relkind in ('r', 'f') and exists (select from pg_inherits where inhrelid = c.oid and inhparent = $1::oid)
              and not c.relispartition, false)
    from (select distinct d.classid, d.objid
            from pg_depend d
            join (select 'pg_class'::regclass::oid, $1::oid
                  union all select 'pg_type'::regclass, oid from pg_type where typrelid = $1::oid
                  union all select 'pg_type'::regclass, typarray from pg_type where typrelid = $1::oid) as own(classid, objid)
              on d.refclassid = own.classid and d.refobjid = own.objid) as d
    left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
    left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
    left join pg_index i on i.indexrelid = c.oid
    left join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
    left join pg_trigger t on d.classid = 'pg_trigger'::regclass and t.oid = d.objid
    left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    left join pg_type y on d.classid = 'pg_type'::regclass and y.oid = d.objid
    left join pg_type e on e.oid = y.typelem
   where not coalesce(k.conrelid = $1::oid and k.contype in ('c', 'n', 'p', 'u', 'x') or c.oid = $1::oid
     or i.indrelid = $1::oid or c.relkind = 't' or a.adrelid = $1::oid or t.tgisinternal
     or y.typrelid = $1::oid or e.typrelid = $1::oid, false)`;

/** What the table is or is part of, and pg_depend does not say. */
const ownTraits = `
  select 'row-level security', not coalesce(u.rolsuper or u.rolbypassrls
           or (pg_has_role(u.oid, relowner, 'USAGE') and not relforcerowsecurity), false)
    from target join pg_roles u on u.rolname = coalesce($2::text, current_user) where relrowsecurity
  union all select 'its partitions', false from target where relkind = 'p'
  union all select format('its parent %s', inhparent::regclass), false from pg_inherits where inhrelid = $1::oid
  union all select format('the type %s that it is of', reloftype::regtype), false from target where reloftype <> 0
  union all select format('publication %s', pubname), false
    from pg_publication_tables p join pg_namespace n on n.nspname = p.schemaname
    join target on relname = p.tablename and relnamespace = n.oid
  union all select 'a subscription', false from pg_subscription_rel where srrelid = $1::oid
  union all select pg_describe_object(refclassid, refobjid, 0), false
    from pg_depend where classid = 'pg_class'::regclass and objid = $1::oid and deptype in ('e', 'x')
  union all select 'its security label', false from pg_seclabel
    where classoid = 'pg_class'::regclass and objoid = $1::oid
  union all select 'its replica identity', false from target where relreplident <> 'd'
  union all select 'that it is not logged', false from target where relpersistence <> 'p'
  union all select 'its tablespace', false from target
    where reltablespace <> 0 or exists (select from pg_index join pg_class c on c.oid = indexrelid
      where indrelid = $1::oid and c.reltablespace <> 0)
  union all select 'the index that it is clustered by', false from pg_index
    where indrelid = $1::oid and indisclustered
  union all select format('the invalid index %s', indexrelid::regclass), false from pg_index
    where indrelid = $1::oid and not indisvalid`;

/** What the login may not do for its owner, nor the role: the new table would be made with more rights than it has. */
const rights = `
  select format('its owner %I, as whom the login may not act', r.rolname), false
    from target join pg_roles r on r.oid = relowner where not pg_has_role(relowner, 'USAGE')
  union all select format('its owner %I, as whom the role %I may not act', r.rolname, $2::text), false
    from target join pg_roles r on r.oid = relowner where not pg_has_role($2::name, relowner, 'USAGE')
  union all select format('that nobody but a superuser may create a table of %I in its schema', r.rolname), false
    from target join pg_roles r on r.oid = relowner
    where not has_schema_privilege(relowner, relnamespace, 'CREATE')
      and not (select rolsuper from pg_roles where rolname = current_user)
  union all select 'that the login may not create tables in its schema', false from target
    where not has_schema_privilege(relnamespace, 'CREATE')
  union all select 'grants that another than its owner has given', false from target
    where exists (select from aclexplode(relacl) where grantor <> relowner)
       or exists (select from pg_attribute a, aclexplode(a.attacl)
            where attrelid = $1::oid and not attisdropped and grantor <> relowner)`;
