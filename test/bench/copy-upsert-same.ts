/**
 * What an upsert costs when nothing has changed: every row is compared and none is written. The log shows it.
 *
 *   npm run bench copy-upsert-same [-- --rows=4000000 --turns=3]
 */
import { compareMerges } from './support/compare-merges.ts';
import { onCopyStage } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { upsertStaged } from './support/hand-written.ts';

const rows = numberFlag('rows', 4_000_000);

await onCopyStage((stage) =>
  compareMerges(stage, { name: 'copy-upsert-same', rows, mode: 'upsert', next: null, merge: upsertStaged }),
);
