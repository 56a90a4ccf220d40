/**
 * TPC-H's `lineitem` (specification 3.0.1, clauses 1.4.1 and 4.2.3): its 16 columns, its value ranges, its sparse order
 * keys and one to seven lines an order, made in SQL. Deterministic; the text of comments is ours.
 */
import { Client } from 'pg';

const columns = `
  l_orderkey bigint not null,
  l_partkey integer not null,
  l_suppkey integer not null,
  l_linenumber integer not null,
  l_quantity numeric(15,2) not null,
  l_extendedprice numeric(15,2) not null,
  l_discount numeric(15,2) not null,
  l_tax numeric(15,2) not null,
  l_returnflag char(1) not null,
  l_linestatus char(1) not null,
  l_shipdate date not null,
  l_commitdate date not null,
  l_receiptdate date not null,
  l_shipinstruct char(25) not null,
  l_shipmode char(10) not null,
  l_comment varchar(44) not null`;

/** The statement that creates an empty table of this shape, without key or index. */
export const createLineitemTable = (table: string): string => `create table ${table} (${columns})`;

/** Some 4 lines an order on average, in key order; `limit` cuts at the wanted number. */
const insertRows = (rows: number): string => `
  insert into lineitem
  select
    (o / 8) * 32 + o % 8 + 1, part, 1 + (h >> 3) % 10000, l, quantity,
    quantity * (90000 + part / 10 % 20001 + 100 * (part % 1000)) / 100.0, (h >> 9) % 11 / 100.0, (h >> 14) % 9 / 100.0,
    case when received <= date '1995-06-17' then (array['R', 'A'])[1 + (h >> 19) % 2] else 'N' end,
    case when shipped > date '1995-06-17' then 'O' else 'F' end,
    shipped, ordered + (30 + (h >> 20) % 61)::int, received,
    (array['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[1 + (h >> 27) % 4],
    (array['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'])[1 + (h >> 30) % 7],
    substr(words, (1 + (h >> 34) % (length(words) - 44))::int, (10 + (h >> 45) % 34)::int)
  from (values (
      'carefully final deposits are quickly above the furiously bold packages; regular ideas haggle blithely among '
      'the slyly express accounts. pending theodolites nag even requests across the silent, unusual pinto beans -- '
      'ironic instructions sleep fluffily after the dogged foxes, special asymptotes wake along the busy platelets')
    ) as text(words),
    generate_series(0::bigint, ${rows}) o,
    lateral (select hashint8extended(o, 1) & 9223372036854775807 as g) as of_order,
    lateral (select date '1992-01-01' + (g % 2406)::int as ordered) as order_date,
    lateral generate_series(1, (1 + (g >> 20) % 7)::int) l,
    lateral (select hashint8extended(o * 8 + l, 2) & 9223372036854775807 as h) as of_line,
    lateral (select (1 + (h >> 7) % 200000)::int as part, (1 + (h >> 40) % 50)::numeric as quantity,
      ordered + (1 + (h >> 12) % 121)::int as shipped) as line,
    lateral (select shipped + (1 + (h >> 23) % 30)::int as received) as arrival
  limit ${rows}`;

/** Creates and fills `lineitem` with its primary key, physically in key order. */
export async function createLineitem(url: string, rows: number): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(createLineitemTable('lineitem'));
    await client.query(insertRows(rows));
    await client.query(
      'alter table lineitem add constraint lineitem_pkey primary key (l_orderkey, l_linenumber)',
    );
    await client.query('vacuum (freeze, analyze) lineitem');
  } finally {
    await client.end();
  }
}
