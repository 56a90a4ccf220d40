/**
 * Where the processor time of an append goes, ours and the psql pipes': the sessions in the source and in the destination,
 * the mover, and all else on the machine. Their sum, shared out over the processors, is what a copy takes at least.
 *
 *   npm run bench copy-profile [-- --rows=4000000 --turns=3]
 */
import { createLineitem, createLineitemTable } from '../support/lineitem.ts';
import { summarize } from './support/bench-report.ts';
import { pipeSubjects } from './support/compare-pipes.ts';
import { onCopyStage } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { lineitemKey } from './support/keyed-lineitem.ts';
import { fillNarrow, narrowTable } from './support/narrow.ts';
import { logStatementCpu, withServerCpu } from './support/server-cpu.ts';
import { takeTurns } from './support/take-turns.ts';

const rows = numberFlag('rows', 4_000_000);

await onCopyStage(async (plain) => {
  const stage = { ...plain, around: (copy) => withServerCpu(plain, copy) } satisfies typeof plain;
  stage.log(`making ${rows.toLocaleString('en-US')} rows of either kind …`);
  await fillNarrow(stage.source, rows);
  await createLineitem(stage.source, rows);
  await logStatementCpu(stage);
  const subjects = [
    ...pipeSubjects(stage, { rows, source: 'narrow', key: ['id'], create: narrowTable, suffix: ' (narrow)' }),
    ...pipeSubjects(stage, {
      rows,
      source: 'lineitem',
      key: lineitemKey,
      create: createLineitemTable,
      suffix: ' (lineitem)',
    }),
  ];
  const measured = await takeTurns(subjects, stage.turns, stage.log);
  return {
    name: 'copy-profile',
    rows,
    subjects: [...measured].map(([subject, turns]) => summarize(subject, rows, turns)),
    bars: [],
  };
});
