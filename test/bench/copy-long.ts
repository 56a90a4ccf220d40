/**
 * One long copy of narrow rows, whose worker is killed (kill -9) in the middle: whether it is as fast, and takes as little
 * memory, at its end as at its beginning, and whether its receipt adds up. The rows of the table come in eighths, by the
 * times of their checkpoints.
 *
 *   npm run bench copy-long [-- --rows=64000000]
 */
import { setTimeout as delay } from 'node:timers/promises';
import { atMost, memoryBar, type Bar, type SubjectResult } from './support/bench-report.ts';
import { type CopyStage, onCopyStage } from './support/copy-stage.ts';
import { numberFlag } from './support/flags.ts';
import { killAt } from './support/kill-at.ts';
import { fillNarrow, narrowTable } from './support/narrow.ts';
import { createSync, runSync } from './support/penstock-subject.ts';
import { readMemory } from './support/process-usage.ts';
import { execute } from './support/servers.ts';

const rows = numberFlag('rows', 64_000_000);
const parts = 8;

await onCopyStage(async (stage) => {
  const { source, destination, penstock, log } = stage;
  log(`making ${rows.toLocaleString('en-US')} rows …`);
  await fillNarrow(source, rows);
  await execute(destination, narrowTable('narrow'), 'checkpoint');
  const sync = await createSync(penstock, {
    name: 'long',
    query: 'select * from narrow',
    table: 'public.narrow',
    mode: 'append',
    key: ['id'],
    limits: { batchRows: 50_000 },
  });
  const over = new AbortController();
  const memory = watchMemory(penstock.workers, over.signal);
  log('copying, with a kill in the middle …');
  let killedMs = 0;
  const { run, seconds } = await runSync(penstock, sync, async (handle) => {
    await killAt(stage, handle, rows / 2);
    killedMs = Date.now();
  });
  over.abort();
  log(`copied in ${seconds.toFixed(1)} s; comparing …`);
  const seen = { batches: await readBatches(destination), memory: await memory, killedMs };
  const subjects = inParts(seen, penstock.idleMiB);
  const rates = subjects.map(({ rowsPerSecond }) => rowsPerSecond);
  const slowdown = rates.at(-1)! / rates[0]!;
  const bars: Bar[] = [
    { bar: 'last eighth ÷ first, rows/s', wanted: '≥ 0.9', measured: slowdown, holds: slowdown >= 0.9 },
    memoryBar(subjects),
    atMost('rows of the receipt and of the source that differ', 0, Math.abs(run.receipt!.read - rows)),
    atMost('read, but not inserted', 0, run.receipt!.read - run.receipt!.inserted),
    atMost('rows lost, doubled or changed', 0, await countDifferent(stage)),
  ];
  return { name: 'copy-long', rows, subjects, bars };
});

interface Memory {
  atMs: number;
  mib: number;
}

/** What the largest worker holds, four times a second. */
async function watchMemory(workers: () => readonly number[], signal: AbortSignal): Promise<Memory[]> {
  const seen: Memory[] = [];
  while (!signal.aborted) {
    const mib = Math.max(0, ...workers().map((pid) => readMemory(pid)?.nowMiB ?? 0));
    seen.push({ atMs: Date.now(), mib });
    await delay(250, undefined, { signal }).catch(() => {});
  }
  return seen;
}

interface Batch {
  rows: number;
  /** When its transaction began, by the destination's clock, which is this machine's. */
  atMs: number;
}

/** Of the last load, in order. */
async function readBatches(url: string): Promise<Batch[]> {
  const sql = `select rows::int, (extract(epoch from committed_at) * 1000)::float8 as "atMs" from _penstock.checkpoint
    where load = (select id from _penstock.load order by opened_at desc limit 1) order by partition, batch`;
  return (await execute(url, sql)) as unknown as Batch[];
}

interface Seen {
  batches: readonly Batch[];
  memory: readonly Memory[];
  killedMs: number;
}

function inParts({ batches, memory, killedMs }: Seen, idleMiB: number | null): SubjectResult[] {
  const bounds = Array.from({ length: parts + 1 }, (_, i) => (rows * i) / parts);
  let total = 0;
  // The batches in which each bound lies.
  const marks = bounds.map(() => batches.at(-1)!.atMs);
  batches.forEach(({ rows: count, atMs }) => {
    bounds.forEach((bound, i) => {
      if (bound >= total && bound < total + count) marks[i] = atMs;
    });
    total += count;
  });
  return bounds.slice(1).map((bound, i) => {
    const [from, to] = [marks[i]!, marks[i + 1]!];
    const held = memory.filter(({ atMs }) => atMs >= from && atMs < to).map(({ mib }) => mib);
    const seconds = (to - from) / 1000;
    return {
      subject: `to ${(bound / 1e6).toLocaleString('en-US')} M${killedMs >= from && killedMs < to ? ', killed' : ''}`,
      runs: 1,
      rowsPerSecond: rows / parts / seconds,
      seconds: [seconds],
      rssMiB: held.length > 0 ? Math.max(...held) : null,
      rssIdleMiB: idleMiB,
      cpuSeconds: null,
    };
  });
}

/** By their number, and by a sum of hashes that does not mind their order; 0: the two tables hold the same rows. */
async function countDifferent({ source, destination }: CopyStage): Promise<number> {
  const hash = ['id', 'a', 'b'].map((column, i) => `hashint4extended(${column}, ${i})`).join(' # ');
  const sql = `select count(*)::float8 as rows, sum((${hash})::numeric)::text as hash from narrow`;
  const [sent] = await execute(source, sql);
  const [come] = await execute(destination, sql);
  const missing = Math.abs(Number(sent!['rows']) - Number(come!['rows']));
  return missing > 0 || sent!['hash'] === come!['hash'] ? missing : 1;
}
