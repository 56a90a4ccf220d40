/**
 * How fast rows come through a cursor, where a source has no COPY: the pipe alone, in this process, both ways.
 *
 *   npm run bench copy-cursor [-- --rows=1000000 --turns=3]
 */
import { createLineitem, createLineitemTable } from '../support/lineitem.ts';
import { summarize } from './support/bench-report.ts';
import { emptyTables, onCopyStage, subjectOf } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { lineitemKey } from './support/keyed-lineitem.ts';
import { copyInProcess } from './support/pipe-subject.ts';
import { takeTurns } from './support/take-turns.ts';

const rows = numberFlag('rows', 1_000_000);

await onCopyStage(async (stage) => {
  stage.log(`making ${rows.toLocaleString('en-US')} rows …`);
  await createLineitem(stage.source, rows);
  const read = (reader: 'copy' | 'cursor') =>
    subjectOf(
      stage,
      reader === 'cursor' ? 'penstock' : 'by COPY',
      emptyTables(stage, `lineitem_${reader}`, createLineitemTable, rows),
      (table) => copyInProcess(stage, { query: 'select * from lineitem', table, key: lineitemKey, reader }),
    );
  const measured = await takeTurns([read('cursor'), read('copy')], stage.turns, stage.log);
  const subjects = [...measured].map(([subject, turns]) => summarize(subject, rows, turns));
  return { name: 'copy-cursor', rows, subjects, bars: [] };
});
