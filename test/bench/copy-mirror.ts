/**
 * What a mirror costs when one row in a hundred is gone, one has changed and one is new, from turn to turn.
 *
 *   npm run bench copy-mirror [-- --rows=4000000 --turns=3]
 */
import { compareMerges } from './support/compare-merges.ts';
import { onCopyStage } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { mirrorStaged } from './support/hand-written.ts';
import { versions } from './support/keyed-lineitem.ts';

const rows = numberFlag('rows', 4_000_000);

await onCopyStage((stage) =>
  compareMerges(stage, {
    name: 'copy-mirror',
    rows,
    mode: 'mirror',
    next: versions.hundredthEach,
    merge: mirrorStaged,
  }),
);
