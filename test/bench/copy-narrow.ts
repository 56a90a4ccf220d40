/**
 * How fast rows of three integers are copied: what a row costs whatever is in it, and what a batch costs.
 *
 *   npm run bench copy-narrow [-- --rows=10000000 --turns=3]
 */
import { comparePipes } from './support/compare-pipes.ts';
import { onCopyStage } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { fillNarrow, narrowTable } from './support/narrow.ts';

const rows = numberFlag('rows', 10_000_000);

await onCopyStage((stage) =>
  comparePipes(stage, {
    name: 'copy-narrow',
    rows,
    fill: () => fillNarrow(stage.source, rows),
    source: 'narrow',
    key: ['id'],
    create: narrowTable,
  }),
);
