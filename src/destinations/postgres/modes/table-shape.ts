/** What a table is made of, but for its name, its rows and whose it is: to build another like it, and to see that it is. */
import { ident } from '../../../postgres-client/quote.ts';
import type { Sql } from '../destination-session.ts';

/** A fact a line; two tables with the same lines are alike, whatever their indexes are called. */
async function fetchShape(sql: Sql, relation: string): Promise<string[]> {
  const lines = await sql<{ fact: string }>(
    `${columns} union all ${constraints} union all ${indexes} union all ${options}`,
    [relation],
  );
  return lines.map(({ fact }) => fact).toSorted();
}

/** The first thing that the two tables do not have in common; null when they are alike. */
export async function findDifference(sql: Sql, one: string, other: string): Promise<string | null> {
  const [a, b] = [await fetchShape(sql, one), await fetchShape(sql, other)];
  return a.find((fact) => !b.includes(fact)) ?? b.find((fact) => !a.includes(fact)) ?? null;
}

const columns = `
  select format('column %s %I %s', row_number() over (order by a.attnum), a.attname, concat_ws(' ',
           format_type(a.atttypid, a.atttypmod), nullif(a.attcollation, 0)::regcollation, a.attnotnull, a.attgenerated,
           a.attidentity, a.attstorage, a.attcompression, coalesce(a.attstattarget, -1), a.attoptions,
           pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum))) as fact
    from pg_attribute a
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped`;

/** A constraint with an index takes its name from there. */
const constraints = `
  select format('constraint %s %s', case when conindid = 0 or contype = 'f' then quote_ident(conname) end, concat_ws(' ',
           pg_get_constraintdef(oid), convalidated, connoinherit, obj_description(oid, 'pg_constraint')))
    from pg_constraint where conrelid = $1::oid and contype <> 't'`;

const indexes = `
  select format('index %s', concat_ws(' ', indisunique, substr(pg_get_indexdef(indexrelid), strpos(pg_get_indexdef(indexrelid), ' USING ')),
           obj_description(indexrelid, 'pg_class')))
    from pg_index where indrelid = $1::oid`;

const options = `
  select format('options %s', concat_ws(' ', m.amname, c.reloptions, t.reloptions))
    from pg_class c join pg_am m on m.oid = c.relam left join pg_class t on t.oid = c.reltoastrelid
   where c.oid = $1::oid`;

/** `using … with (…)` for a table that is stored as this one is. */
export async function fetchStorage(sql: Sql, relation: string): Promise<string> {
  const [row] = await sql<{ method: string | null; options: string | null }>(
    `select m.amname as method, string_agg(format('%s = %L', o.name, o.value), ', ') filter (where o.name is not null) as options
       from pg_class c
       left join pg_am m on m.oid = c.relam
       left join pg_class t on t.oid = c.reltoastrelid
       left join lateral (
         select split_part(opt, '=', 1), substr(opt, strpos(opt, '=') + 1) from unnest(c.reloptions) as opt
         union all select 'toast.' || split_part(opt, '=', 1), substr(opt, strpos(opt, '=') + 1) from unnest(t.reloptions) as opt
       ) as o(name, value) on true
      where c.oid = $1::oid group by 1`,
    [relation],
  );
  const { method, options } = row!;
  return [method && `using ${ident(method)}`, options && `with (${options})`].filter(Boolean).join(' ');
}
