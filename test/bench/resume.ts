/**
 * What a kill -9 of the copying worker costs, when it comes after 60 % of the rows: the run that another worker brings
 * to its end, against the same copy without a kill. What arrived is compared row by row.
 *
 *   npm run bench resume [-- --rows=4000000 --turns=3]
 */
import type { RunHandle } from '../../src/client/index.ts';
import { createLineitem, createLineitemTable } from '../support/lineitem.ts';
import { atMost, memoryBar, summarize } from './support/bench-report.ts';
import { onCopyStage, penstockOn, type Work } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { killAt } from './support/kill-at.ts';
import { digest, lineitemKey } from './support/keyed-lineitem.ts';
import { execute } from './support/servers.ts';
import { medianOf, takeTurns, type Turn } from './support/take-turns.ts';

const rows = numberFlag('rows', 4_000_000);
const batchRows = 50_000;

await onCopyStage(async (stage) => {
  stage.log(`making ${rows.toLocaleString('en-US')} rows …`);
  await createLineitem(stage.source, rows);
  const whole = await digest(stage.source, 'lineitem');
  const work = (subject: string): Work => ({
    table: (turn) => `lineitem_${subject}_${turn}`,
    prepare: (table) => execute(stage.destination, createLineitemTable(table)),
    check: async (table) => {
      if ((await digest(stage.destination, table)) !== whole)
        throw new Error(`${table} has not every row exactly once`);
      await execute(stage.destination, `drop table ${table}`);
    },
  });
  const copy = {
    query: 'select * from lineitem',
    mode: 'append',
    key: lineitemKey,
    limits: { batchRows },
  } as const;
  const kill = (run: RunHandle): Promise<void> => killAt(stage, run, 0.6 * rows);
  const measured = await takeTurns(
    [
      penstockOn(stage, 'penstock', work('whole'), copy),
      penstockOn(stage, 'penstock (killed)', work('killed'), copy, kill),
    ],
    stage.turns,
    stage.log,
  );
  const subjects = [...measured].map(([subject, turns]) => summarize(subject, rows, turns));
  const [undisturbed, killed] = ['penstock', 'penstock (killed)'].map((name) =>
    medianSeconds(measured.get(name)!),
  );
  const batch = (undisturbed! * batchRows) / rows;
  const bars = [
    atMost('extra s, less one batch', 35, killed! - undisturbed! - batch),
    // The check of a turn throws when it is otherwise.
    atMost('rows lost or doubled', 0, 0),
    memoryBar(subjects),
  ];
  return { name: 'resume', rows, subjects, bars };
});

function medianSeconds(turns: readonly Turn[]): number {
  return medianOf(turns.map(({ seconds }) => seconds))!;
}
