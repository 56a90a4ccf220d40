/**
 * Whether a copy of many rows is as fast, and takes as little memory, as one of few; and what a copy takes beside its rows,
 * by that of a single one.
 *
 *   npm run bench copy-scale [-- --rows=1000000 --turns=3 --large]: so many rows, 4 and 16 times as many; --large: 64 times
 */
import { type Bar, memoryBar, summarize, type SubjectResult } from './support/bench-report.ts';
import { emptyTables, onCopyStage, penstockOn } from './support/copy-stage.ts';
import { hasFlag, numberFlag } from './support/flags.ts';
import { fillNarrow, narrowTable } from './support/narrow.ts';
import { execute } from './support/servers.ts';
import { medianOf, takeTurns } from './support/take-turns.ts';

const least = numberFlag('rows', 1_000_000);
const sizes = [1, 4, 16, ...(hasFlag('large') ? [64] : [])].map((times) => times * least);

await onCopyStage(async (stage) => {
  const rows = sizes.at(-1)!;
  stage.log(`making ${rows.toLocaleString('en-US')} rows …`);
  await fillNarrow(stage.source, rows);
  const measured = await takeTurns(
    [1, ...sizes].map((size) =>
      penstockOn(stage, nameOf(size), emptyTables(stage, `narrow_${size}`, narrowTable, size), {
        query: `select * from narrow where id <= ${size}`,
        mode: 'append',
        key: ['id'],
        limits: { batchRows: 50_000 },
      }),
    ),
    stage.turns,
    stage.log,
  );
  const resultOf = (size: number) => summarize(nameOf(size), size, measured.get(nameOf(size))!);
  const single = resultOf(1);
  const subjects = sizes.map(resultOf);
  const secondsOf = ({ seconds }: SubjectResult): number => medianOf(seconds)!;
  const bars = [
    flatBar('least ÷ most rows/s', subjects, (subject) => subject.rowsPerSecond ?? null),
    flatBar('the same, less the seconds of one row', subjects, (subject) => {
      const size = sizes[subjects.indexOf(subject)]!;
      return size / (secondsOf(subject) - secondsOf(single));
    }),
    flatBar('least ÷ most peak RSS', subjects, (subject) => subject.rssMiB),
    memoryBar(subjects),
  ];
  await execute(stage.source, 'drop table narrow');
  return { name: 'copy-scale', rows, subjects: [single, ...subjects], bars };
});

function nameOf(size: number): string {
  return `penstock (${size.toLocaleString('en-US')})`;
}

function flatBar(
  bar: string,
  subjects: readonly SubjectResult[],
  of: (s: SubjectResult) => number | null,
): Bar {
  const values = subjects.flatMap((subject) => of(subject) ?? []);
  const measured = values.length > 0 ? Math.min(...values) / Math.max(...values) : null;
  return { bar, wanted: '≥ 0.9', measured, holds: measured === null ? null : measured >= 0.9 };
}
