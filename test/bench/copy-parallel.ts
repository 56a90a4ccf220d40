/**
 * What partitions bring: 1, 2 and 4 at once, beside as many psql pipes, each with its share of the keys.
 *
 *   npm run bench copy-parallel [-- --rows=4000000 --turns=3]
 */
import { createLineitem, createLineitemTable } from '../support/lineitem.ts';
import { memoryBar, rateBar, summarize } from './support/bench-report.ts';
import { type CopyStage, emptyTables, onCopyStage, penstockOn, subjectOf } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { lineitemKey } from './support/keyed-lineitem.ts';
import { runPsqlPipe } from './support/psql-pipe.ts';
import { execute } from './support/servers.ts';
import { takeTurns, type Turn } from './support/take-turns.ts';

const rows = numberFlag('rows', 4_000_000);
const parallels = [1, 2, 4];

await onCopyStage(async (stage) => {
  stage.log(`making ${rows.toLocaleString('en-US')} rows …`);
  await createLineitem(stage.source, rows);
  const lastKey = await readLastKey(stage);
  const work = (subject: string) => emptyTables(stage, `lineitem_${subject}`, createLineitemTable, rows);
  const subjects = parallels.flatMap((parallel) => [
    penstockOn(stage, `penstock (${parallel})`, work(`penstock_${parallel}`), {
      query: 'select * from lineitem',
      mode: 'append',
      key: lineitemKey,
      limits: { batchRows: 50_000, parallel },
    }),
    subjectOf(stage, `psql-binary (${parallel})`, work(`psql_${parallel}`), (table) =>
      runPipes(stage, table, keyRanges(lastKey, parallel)),
    ),
  ]);
  const measured = await takeTurns(subjects, stage.turns, stage.log);
  const results = [...measured].map(([subject, turns]) => summarize(subject, rows, turns));
  const bars = [rateBar(results, 'psql-binary (1)', 1.1, 'penstock (2)'), memoryBar(results)];
  return { name: 'copy-parallel', rows, subjects: results, bars };
});

async function readLastKey({ source }: CopyStage): Promise<number> {
  const [found] = await execute(source, 'select max(l_orderkey)::float8 as last from lineitem');
  return Number(found!['last']);
}

/** Conditions that share the keys out evenly; none when there is one share. */
function keyRanges(lastKey: number, parts: number): string[] {
  if (parts === 1) return [''];
  return Array.from({ length: parts }, (_, i) => {
    const [from, to] = [i, i + 1].map((n) => Math.floor((lastKey * n) / parts));
    return ` where l_orderkey > ${from} and l_orderkey <= ${to}`;
  });
}

/** As many pipes at once; it ends with the last of them. */
async function runPipes(stage: CopyStage, table: string, conditions: readonly string[]): Promise<Turn> {
  const start = performance.now();
  const turns = await Promise.all(
    conditions.map((where) =>
      runPsqlPipe({
        format: 'binary',
        source: { url: stage.source, rows: where === '' ? 'lineitem' : `(select * from lineitem${where})` },
        destination: { url: stage.destination, table },
      }),
    ),
  );
  return {
    seconds: (performance.now() - start) / 1000,
    rssMiB: Math.max(...turns.map(({ rssMiB }) => rssMiB ?? 0)),
  };
}
