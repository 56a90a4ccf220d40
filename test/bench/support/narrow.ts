/** Rows of three integers: the source has a primary key and no log to write while it is made, the target has no key. */
import { execute } from './servers.ts';

export const narrowTable = (table: string): string =>
  `create table ${table} (id integer not null, a integer not null, b integer not null)`;

export const fillNarrow = (url: string, rows: number): Promise<unknown> =>
  execute(
    url,
    'drop table if exists narrow',
    narrowTable('narrow').replace('create', 'create unlogged'),
    `insert into narrow select i, i % 1000, -i from generate_series(1, ${rows}) as i`,
    'alter table narrow add primary key (id)',
    'vacuum (freeze, analyze) narrow',
  );
