/** The unique index of a target's key: `on conflict` needs one, and it says what "the same key" means. */
import { ident } from '../../postgres-client/quote.ts';
import type { LoadPlan } from '../../ports/destination.ts';
import type { Sql, SqlRows } from './destination-session.ts';
import { targetKey } from './scoped.ts';

/**
 * On exactly these columns, in any order, by their own collations: another one may take other rows for the same than a
 * comparison of the columns does, and serves no such comparison. For `select …` of it and its key columns.
 */
const ofKeyIndex = `from pg_index i
      where i.indrelid = $1 and i.indisunique and i.indisvalid and i.indimmediate
        and i.indpred is null and i.indexprs is null
        and (select array_agg(a.attname::text order by a.attname::text)
               from pg_attribute a
              where a.attrelid = i.indrelid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
            = (select array_agg(name order by name) from unnest($2::text[]) as t(name))
        and not exists (
          select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1], i.indcollation::oid[]) as k(number, sort)
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
           where k.sort <> a.attcollation)`;

export const hasKeyIndex = async (sql: Sql, relation: string, key: readonly string[]): Promise<boolean> =>
  (await sql(`select ${ofKeyIndex}`, [relation, key])).length > 0;

/** "The two rows have the same key", by their aliases; of a target's rows, those of the scope have it alone. */
export type SameKey = (a: string, b: string) => string;

/** Of a target without a key. */
export const noneIsSame: SameKey = () => 'false';

/**
 * By the index's own equality, with the operators' schemas: under the transaction's search path a plain `=` may be another
 * one, or none (citext then compares as text).
 */
export async function fetchSameKey(sql: SqlRows, relation: string, plan: LoadPlan): Promise<SameKey> {
  const key = targetKey(plan);
  const rows = await sql<{ operator: string }>(
    `select format('operator(%I.%s)', n.nspname, o.oprname) as operator
       from (select i.indrelid, i.indclass::oid[] as classes, i.indkey::int2[] as numbers
               ${ofKeyIndex} order by i.indexrelid limit 1) as i
       cross join unnest(i.classes) with ordinality as class(id, position)
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.numbers[class.position - 1]
       join pg_opclass c on c.oid = class.id
       join pg_amop e on e.amopfamily = c.opcfamily and e.amopstrategy = 3
                     and e.amoplefttype = c.opcintype and e.amoprighttype = c.opcintype
       join pg_operator o on o.oid = e.amopopr
       join pg_namespace n on n.oid = o.oprnamespace
      order by array_position($2::text[], a.attname::text)`,
    [relation, key],
  );
  return (a, b) =>
    plan.key
      .map((name) => `${a}.${ident(name)} ${rows[key.indexOf(name)]!.operator} ${b}.${ident(name)}`)
      .join(' and ');
}
