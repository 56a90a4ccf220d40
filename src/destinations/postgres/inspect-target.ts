/** A target as the catalog has it: in one statement all that is asked of a table before a load may write it. */
import type { TableName } from '../../ports/destination.ts';
import type { ResultColumn } from '../../ports/source.ts';
import type { Sql } from './destination-session.ts';
import { qualifiedName } from './target-name.ts';

/** A table, or whatever else bears its name. */
export interface InspectedTarget {
  /** Its oid. */
  relation: string;
  /** As pg_class has it. */
  kind: string;
  /** After a crash of the server it is empty, or one of its partitions. */
  isUnlogged: boolean;
  columns: readonly InspectedColumn[];
}

interface InspectedColumn extends ResultColumn {
  /** Its values are computed. */
  isGenerated: boolean;
  /** Its values are the table's own: `generated always as identity`. */
  isIdentity: boolean;
  /** It may not be left out. */
  needsValue: boolean;
  /** Its collation takes different texts for equal. */
  isLoose: boolean;
}

/**
 * Null: there is nothing of that name. Types are named with an empty search path. Locks nothing, as `pg_partition_tree` would
 * the partitions: who looks may then wait for somebody who alters the table.
 */
export async function inspectTarget(sql: Sql, target: TableName): Promise<InspectedTarget | null> {
  const [found] = await sql<InspectedTarget>(
    `select c.oid::text as relation, c.relkind as kind,
            exists (with recursive parts (oid) as (select c.oid union
                      select inhrelid from pg_inherits join parts on inhparent = parts.oid where c.relkind = 'p')
              select from pg_class join parts using (oid) where relpersistence <> 'p') as "isUnlogged",
            (select coalesce(json_agg(json_build_object(
                      'name', attname, 'typeOid', atttypid::int8, 'typeName', format_type(atttypid, atttypmod),
                      'isGenerated', attgenerated <> '', 'isIdentity', attidentity = 'a',
                      'needsValue', not atthasdef and attidentity = '' and (attnotnull or exists (
                        select from pg_type t where t.oid = atttypid and typnotnull and typdefault is null)),
                      'isLoose', exists (
                        select from pg_collation o where o.oid = attcollation and not collisdeterministic))
                    order by attnum), '[]')
               from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped) as columns
       from pg_class c where c.oid = to_regclass($1)`,
    [qualifiedName(target)],
  );
  return found ?? null;
}

/** The columns that a result may fill; null where there are none, hence no table. */
export function presentIn({ columns }: InspectedTarget): readonly ResultColumn[] | null {
  const present = columns.filter(({ isGenerated }) => !isGenerated);
  return present.length > 0 ? present : null;
}
