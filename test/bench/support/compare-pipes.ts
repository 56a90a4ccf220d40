/** An append of a whole table, ours and the two psql pipes: the same bars whatever the rows are like. */
import { type Findings, memoryBar, rateBar, summarize } from './bench-report.ts';
import { type CopyStage, emptyTables, penstockOn, psqlOn } from './copy-stage.ts';
import { type Subject, takeTurns } from './take-turns.ts';

interface PipedRows {
  readonly rows: number;
  /** The source's table. */
  readonly source: string;
  readonly key: readonly string[];
  /** The statement that creates an empty target. */
  readonly create: (table: string) => string;
  /** Of the subjects' names. */
  readonly suffix?: string;
}

interface AppendCase extends PipedRows {
  readonly name: string;
  /** Fills the source. */
  readonly fill: () => Promise<unknown>;
}

export async function comparePipes(stage: CopyStage, append: AppendCase): Promise<Findings> {
  const { name, rows, fill } = append;
  stage.log(`making ${rows.toLocaleString('en-US')} rows …`);
  await fill();
  const measured = await takeTurns(pipeSubjects(stage, append), stage.turns, stage.log);
  const subjects = [...measured].map(([subject, turns]) => summarize(subject, rows, turns));
  const bars = [
    rateBar(subjects, 'psql-text', 1.25),
    rateBar(subjects, 'psql-binary', 0.95),
    memoryBar(subjects),
  ];
  return { name, rows, subjects, bars };
}

/** Ours, and the pipes in both formats. */
export function pipeSubjects(
  stage: CopyStage,
  { rows, source, key, create, suffix = '' }: PipedRows,
): Subject[] {
  const work = (subject: string) => emptyTables(stage, `${source}_${subject}`, create, rows);
  const psql = (format: 'text' | 'binary') =>
    psqlOn(stage, `psql-${format}${suffix}`, work(format), (table) => ({
      format,
      rows: source,
      destination: { url: stage.destination, table },
    }));
  const ours = penstockOn(stage, `penstock${suffix}`, work('penstock'), {
    query: `select * from ${source}`,
    mode: 'append',
    key,
    limits: { batchRows: 50_000 },
  });
  return [ours, psql('text'), psql('binary')];
}
