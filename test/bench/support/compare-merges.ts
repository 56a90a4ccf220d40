/** A load into a table that holds the rows already, in this version or in another: ours and the hand-written one. */
import { type Findings, memoryBar, rateBar, summarize } from './bench-report.ts';
import { type CopyStage, penstockOn, type Work } from './copy-stage.ts';
import { handWritten, upsertStaged } from './hand-written.ts';
import { createVersions, digest, keyedTable, lineitemKey, swapVersions } from './keyed-lineitem.ts';
import { execute } from './servers.ts';
import { takeTurns } from './take-turns.ts';

interface MergeCase {
  readonly name: string;
  readonly rows: number;
  readonly mode: 'upsert' | 'mirror';
  /** How the source changes from turn to turn, there and back; null: not at all. */
  readonly next: readonly string[] | null;
  /** The expert's statements. */
  readonly merge: (table: string) => readonly string[];
}

export async function compareMerges(stage: CopyStage, merges: MergeCase): Promise<Findings> {
  const { name, rows, mode, next, merge } = merges;
  const { source, destination, log, turns } = stage;
  log(`making ${rows.toLocaleString('en-US')} rows, their next version, and two copies …`);
  await createVersions(source, rows, next ?? []);
  let shown = 0;

  const work = (subject: string): Work => ({
    table: () => `lineitem_${subject}`,
    prepare: async (table, turn) => {
      const wanted = next === null ? 0 : turn % 2;
      if (shown !== wanted) await swapVersions(source);
      shown = wanted;
      await execute(destination, `vacuum (analyze) ${table}`);
    },
    check: async (table, turn) => {
      if ((await digest(destination, table)) !== (await digest(source, 'lineitem')))
        throw new Error(`${table} is not what the source has after turn ${turn}`);
    },
  });
  const ours = penstockOn(stage, 'penstock', work('penstock'), {
    query: 'select * from lineitem',
    mode,
    key: lineitemKey,
    limits: { batchRows: 50_000 },
  });
  const peer = handWritten(stage, 'hand-written', work('hand_written'), merge);
  for (const subject of ['penstock', 'hand_written'])
    await execute(destination, keyedTable(`lineitem_${subject}`));
  // What both find when they are measured. A mirror's anti-join into an empty table is planned for one that stays empty.
  const filler = handWritten(stage, 'hand-written', work('hand_written'), upsertStaged);
  for (const { run } of [ours, filler]) await run(0);

  const measured = await takeTurns([ours, peer], turns, log);
  const subjects = [...measured].map(([subject, results]) => summarize(subject, rows, results));
  return { name, rows, subjects, bars: [rateBar(subjects, 'hand-written', 0.95), memoryBar(subjects)] };
}
