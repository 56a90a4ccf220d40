/**
 * How fast a whole table is copied, Postgres to Postgres, with the whole product in charge (API, Temporal, worker, a
 * checkpoint every 50,000 rows), side by side with what a Postgres administrator would type: `psql COPY | psql COPY`.
 *
 *   npm run bench copy-append [-- --rows=4000000 --turns=3]
 */
import { createLineitem, createLineitemTable } from '../support/lineitem.ts';
import { comparePipes } from './support/compare-pipes.ts';
import { onCopyStage } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';

const rows = numberFlag('rows', 4_000_000);

await onCopyStage((stage) =>
  comparePipes(stage, {
    name: 'copy-append',
    rows,
    fill: () => createLineitem(stage.source, rows),
    source: 'lineitem',
    key: ['l_orderkey', 'l_linenumber'],
    create: createLineitemTable,
  }),
);
