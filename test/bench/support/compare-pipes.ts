/** An append of a whole table, ours and the two psql pipes: the same bars whatever the rows are like. */
import { memoryBar, rateBar, summarize } from './bench-report.ts';
import { type CopyStage, emptyTables, type Findings, penstockOn, psqlOn } from './copy-stage.ts';
import { takeTurns } from './take-turns.ts';

interface AppendCase {
  readonly name: string;
  readonly rows: number;
  /** Fills the source. */
  readonly fill: () => Promise<unknown>;
  /** The source's table. */
  readonly source: string;
  readonly key: readonly string[];
  /** The statement that creates an empty target. */
  readonly create: (table: string) => string;
}

export async function comparePipes(stage: CopyStage, append: AppendCase): Promise<Findings> {
  const { name, rows, fill, source, key, create } = append;
  stage.log(`making ${rows.toLocaleString('en-US')} rows …`);
  await fill();
  const work = (subject: string) => emptyTables(stage, `${source}_${subject}`, create, rows);
  const psql = (format: 'text' | 'binary') =>
    psqlOn(stage, `psql-${format}`, work(format), (table) => ({
      format,
      rows: source,
      destination: { url: stage.destination, table },
    }));
  const measured = await takeTurns(
    [
      penstockOn(stage, 'penstock', work('penstock'), {
        query: `select * from ${source}`,
        mode: 'append',
        key,
        limits: { batchRows: 50_000 },
      }),
      psql('text'),
      psql('binary'),
    ],
    stage.turns,
    stage.log,
  );
  const subjects = [...measured].map(([subject, turns]) => summarize(subject, rows, turns));
  const bars = [
    rateBar(subjects, 'psql-text', 1.25),
    rateBar(subjects, 'psql-binary', 0.95),
    memoryBar(subjects),
  ];
  return { name, rows, subjects, bars };
}
