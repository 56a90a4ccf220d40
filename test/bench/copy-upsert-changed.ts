/**
 * What an upsert costs when a tenth of the rows has changed: turns copy one version of the source and the other.
 *
 *   npm run bench copy-upsert-changed [-- --rows=4000000 --turns=3]
 */
import { compareMerges } from './support/compare-merges.ts';
import { onCopyStage } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { upsertStaged } from './support/hand-written.ts';
import { versions } from './support/keyed-lineitem.ts';

const rows = numberFlag('rows', 4_000_000);

await onCopyStage((stage) =>
  compareMerges(stage, {
    name: 'copy-upsert-changed',
    rows,
    mode: 'upsert',
    next: versions.tenthChanged,
    merge: upsertStaged,
  }),
);
