/** lineitem with its primary key, as a source in two versions and as a target. */
import { createLineitem, createLineitemTable } from '../../support/lineitem.ts';
import { execute } from './servers.ts';

export const lineitemKey: readonly string[] = ['l_orderkey', 'l_linenumber'];

export const lineitemColumns: readonly string[] = [
  ...createLineitemTable('t').matchAll(/^\s*(l_\w+) /gm),
].map(([, name]) => name!);

/** The statement that creates an empty table with the key. */
export const keyedTable = (table: string): string =>
  `${createLineitemTable(table)}; alter table ${table} add primary key (${lineitemKey.join(', ')})`;

/** The statements that fill `lineitem_next` from `lineitem`: rows `where`, some of them changed. */
const insertNext = (where: string, changed: Readonly<Record<string, string>>): string =>
  `insert into lineitem_next select ${lineitemColumns.map((column) => changed[column] ?? column).join(', ')}
     from lineitem where ${where} order by ${lineitemKey.join(', ')}`;

const changedTax = (where: string): string => `case when ${where} then 0.5 - l_tax else l_tax end`;
const nth = '(l_orderkey + l_linenumber) % 100';

/** How `lineitem_next` differs; going back from it differs as much. */
export const versions = {
  /** Every tenth row has another tax. */
  tenthChanged: [insertNext('true', { l_tax: changedTax(`${nth} % 10 = 0`) })],
  /** One row in a hundred is gone, one is changed and one is new. */
  hundredthEach: [
    insertNext(`${nth} <> 0`, { l_tax: changedTax(`${nth} = 1`) }),
    insertNext(`${nth} = 2`, { l_orderkey: '-l_orderkey' }),
  ],
} as const;

/** Creates `lineitem` and `lineitem_next`. */
export async function createVersions(url: string, rows: number, fillNext: readonly string[]): Promise<void> {
  await createLineitem(url, rows);
  await execute(url, keyedTable('lineitem_next'), ...fillNext, 'vacuum (freeze, analyze) lineitem_next');
}

/** Lets the two versions change names. */
export const swapVersions = (url: string): Promise<unknown> =>
  execute(
    url,
    `begin; alter table lineitem rename to away; alter table lineitem_next rename to lineitem;
     alter table away rename to lineitem_next; commit`,
  );

/** A digest of a table's rows, whatever their order; equal digests, equal rows. */
export async function digest(url: string, table: string): Promise<string> {
  const [found] = await execute(
    url,
    `select count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) as digest from ${table} as t`,
  );
  return String(found!['digest']);
}
