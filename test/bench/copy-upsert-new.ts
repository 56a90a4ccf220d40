/**
 * A first load into a keyed table: an empty one, against psql into the same table; and one that holds as many other
 * rows, against a hand-written upsert.
 *
 *   npm run bench copy-upsert-new [-- --rows=4000000 --turns=3]
 */
import { createLineitem } from '../support/lineitem.ts';
import { memoryBar, rateBar, summarize } from './support/bench-report.ts';
import {
  type CopyStage,
  emptyTables,
  onCopyStage,
  penstockOn,
  psqlOn,
  requireRows,
  type Work,
} from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { handWritten, upsertStaged } from './support/hand-written.ts';
import { keyedTable, lineitemColumns, lineitemKey } from './support/keyed-lineitem.ts';
import { execute } from './support/servers.ts';
import { type Subject, takeTurns } from './support/take-turns.ts';

const rows = numberFlag('rows', 4_000_000);

await onCopyStage(async (stage) => {
  stage.log(`making ${rows.toLocaleString('en-US')} rows, and as many others …`);
  await createLineitem(stage.source, rows);
  const copyIn = (subject: string, work: Work): Subject =>
    penstockOn(stage, subject, work, {
      query: 'select * from lineitem',
      mode: 'upsert',
      key: lineitemKey,
      limits: { batchRows: 50_000 },
    });
  const empty = (subject: string): Work => emptyTables(stage, `empty_${subject}`, keyedTable, rows);
  const filled = await filledTables(stage);
  const measured = await takeTurns(
    [
      copyIn('penstock', empty('penstock')),
      psqlOn(stage, 'psql-binary', empty('psql'), (table) => ({
        format: 'binary',
        rows: 'lineitem',
        destination: { url: stage.destination, table },
      })),
      copyIn('penstock (beside others)', filled('penstock')),
      handWritten(stage, 'hand-written (beside others)', filled('hand_written'), upsertStaged),
    ],
    stage.turns,
    stage.log,
  );
  const subjects = [...measured].map(([subject, turns]) => summarize(subject, rows, turns));
  const bars = [
    rateBar(subjects, 'psql-binary', 0.9),
    rateBar(subjects, 'hand-written (beside others)', 0.95, 'penstock (beside others)'),
    memoryBar(subjects),
  ];
  return { name: 'copy-upsert-new', rows, subjects, bars };
});

/** Tables that hold as many lines of other orders: their numbers are below zero. */
async function filledTables({ destination }: CopyStage): Promise<(subject: string) => Work> {
  const others = lineitemColumns
    .map((column) => (column === 'l_orderkey' ? '-l_orderkey' : column))
    .join(', ');
  await createLineitem(destination, rows);
  return (subject) => ({
    table: (turn) => `filled_${subject}_${turn}`,
    prepare: (table) =>
      execute(
        destination,
        keyedTable(table),
        `insert into ${table} select ${others} from lineitem`,
        `vacuum (analyze) ${table}`,
      ),
    check: async (table) => {
      await requireRows(destination, table, 2 * rows);
      await execute(destination, `drop table ${table}`);
    },
  });
}
