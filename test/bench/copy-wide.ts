/**
 * How fast texts of a megabyte are copied, and that a worker does not hold many of them.
 *
 *   npm run bench copy-wide [-- --rows=2000 --turns=3]
 */
import { comparePipes } from './support/compare-pipes.ts';
import { onCopyStage } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { execute } from './support/servers.ts';

const rows = numberFlag('rows', 2_000);

/** Not compressed, at either end: that would be most of the time. */
const create = (table: string): string =>
  `create table ${table} (id integer not null, body text not null); alter table ${table} alter body set storage external`;

await onCopyStage((stage) =>
  comparePipes(stage, {
    name: 'copy-wide',
    rows,
    fill: () =>
      execute(
        stage.source,
        create('wide'),
        `insert into wide select i, repeat(md5(i::text), 32768) from generate_series(1, ${rows}) as i`,
        'alter table wide add primary key (id)',
        'vacuum (freeze, analyze) wide',
      ),
    source: 'wide',
    key: ['id'],
    create,
  }),
);
