/**
 * Whether a copy of many rows is as fast, and takes as little memory, as one of few.
 *
 *   npm run bench copy-scale [-- --rows=1000000 --turns=3 --large]: so many rows, 4 and 16 times as many; --large: 64 times
 */
import { type Bar, memoryBar, summarize, type SubjectResult } from './support/bench-report.ts';
import { emptyTables, onCopyStage, penstockOn } from './support/copy-stage.ts';
import { hasFlag, numberFlag } from './support/flags.ts';
import { fillNarrow, narrowTable } from './support/narrow.ts';
import { execute } from './support/servers.ts';
import { takeTurns } from './support/take-turns.ts';

const least = numberFlag('rows', 1_000_000);
const sizes = [1, 4, 16, ...(hasFlag('large') ? [64] : [])].map((times) => times * least);

await onCopyStage(async (stage) => {
  const rows = sizes.at(-1)!;
  stage.log(`making ${rows.toLocaleString('en-US')} rows …`);
  await fillNarrow(stage.source, rows);
  const measured = await takeTurns(
    sizes.map((size) =>
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
  const subjects = sizes.map((size) => summarize(nameOf(size), size, measured.get(nameOf(size))!));
  const bars = [
    flatBar('least ÷ most rows/s', subjects, (subject) => subject.rowsPerSecond ?? null),
    flatBar('least ÷ most peak RSS', subjects, (subject) => subject.rssMiB),
    memoryBar(subjects),
  ];
  await execute(stage.source, 'drop table narrow');
  return { name: 'copy-scale', rows, subjects, bars };
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
