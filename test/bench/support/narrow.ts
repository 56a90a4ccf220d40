/** Rows of three integers, with a primary key in the source and none in the target. */
import { execute } from './servers.ts';

export const narrowTable = (table: string): string =>
  `create table ${table} (id integer not null, a integer not null, b integer not null)`;

export const fillNarrow = (url: string, rows: number): Promise<unknown> =>
  execute(
    url,
    'drop table if exists narrow',
    narrowTable('narrow'),
    `insert into narrow select i, i % 1000, -i from generate_series(1, ${rows}) as i`,
    'alter table narrow add primary key (id)',
    'vacuum (freeze, analyze) narrow',
  );
