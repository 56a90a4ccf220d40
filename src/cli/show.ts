/** How the command line shows things to people: tables, numbers, and the progress of a run. */
import type { RunAnswer } from '../client/answers.ts';
import { rowFaults, type VerifyReport } from '../domain/verify-report.ts';
import type { Receipt } from '../domain/run-states.ts';

const numbers = new Intl.NumberFormat('en-US');

/** Columns padded to their widest cell; numbers to the right. */
export function tableOf(rows: readonly Readonly<Record<string, string | number | null>>[]): string {
  const names = Object.keys(rows[0] ?? {});
  const cells = [names, ...rows.map((row) => names.map((name) => cellOf(row[name])))];
  const widths = names.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const isNumber = names.map((name) => rows.every((row) => typeof row[name] === 'number'));
  return cells
    .map((row) =>
      row
        .map((cell, column) =>
          isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const cellOf = (value: string | number | null | undefined): string =>
  typeof value === 'number' ? numbers.format(value) : (value ?? '');

/** `running · 1,200,000 rows · 24 batches`. */
export const progressOf = ({ status, waitingReason, progress }: RunAnswer): string =>
  [
    waitingReason === null ? status : `${status} (${waitingReason})`,
    `${numbers.format(progress.rows)} rows`,
    `${numbers.format(progress.batches)} batches`,
  ].join(' · ');

/** Shows a run's progress on standard error: in one line on a terminal, else a line per change. */
export function createProgressView(stream: NodeJS.WriteStream = process.stderr): {
  show(run: RunAnswer): void;
  end(): void;
} {
  let shown = '';
  return {
    show: (run) => {
      const line = `${run.id} ${progressOf(run)}`;
      if (line === shown) return;
      stream.write(stream.isTTY ? `\r\u001b[2K${line}` : `${line}\n`);
      shown = line;
    },
    end: () => {
      if (stream.isTTY && shown !== '') stream.write('\n');
    },
  };
}

/** Without a terminal a line every so often is enough. */
const lineEveryMs = 5_000;

/** Shows rows and their rate on standard error while they are copied, and what else there is to say. */
export function createRateView(stream: NodeJS.WriteStream = process.stderr): {
  /** @param rows of all calls together */
  show(rows: number): void;
  say(text: string): void;
  end(): void;
} {
  let first: { rows: number; atMs: number } | undefined;
  let shownMs = -Infinity;
  let isLineOpen = false;
  const end = () => {
    if (isLineOpen) stream.write('\n');
    isLineOpen = false;
  };
  return {
    show: (rows) => {
      const nowMs = performance.now();
      first ??= { rows, atMs: nowMs };
      if (nowMs - shownMs < (stream.isTTY ? 100 : lineEveryMs)) return;
      shownMs = nowMs;
      const rate = Math.round(((rows - first.rows) * 1_000) / Math.max(nowMs - first.atMs, 1));
      const line = `${numbers.format(rows)} rows · ${numbers.format(rate)} rows/s`;
      stream.write(stream.isTTY ? `\r\u001b[2K${line}` : `${line}\n`);
      isLineOpen = stream.isTTY;
    },
    say: (text) => {
      end();
      stream.write(`${text}\n`);
    },
    end,
  };
}

/** `1,000 rows read: 990 inserted, 10 unchanged; 3 batches`. */
export function describeReceipt(receipt: Receipt): string {
  const fates = (
    ['inserted', 'updated', 'unchanged', 'deduplicated', 'rejected', 'tombstones', 'deleted'] as const
  )
    .filter((fate) => receipt[fate] > 0)
    .map((fate) => `${numbers.format(receipt[fate])} ${fate}`)
    .join(', ');
  const read = `${numbers.format(receipt.read)} rows read${fates === '' ? '' : `: ${fates}`}`;
  return `${read}; ${numbers.format(receipt.batches)} batches`;
}

/** What was compared, and a line for each example of what differs. */
export function describeVerified(report: VerifyReport): string {
  const faults = rowFaults
    .filter((fault) => report[fault] > 0)
    .map((fault) => `${numbers.format(report[fault])} ${fault}`);
  const beside = (['pending', 'rejected', 'deduplicated'] as const)
    .filter((kind) => report[kind] > 0)
    .map((kind) => `${numbers.format(report[kind])} ${kind}`);
  const rows = `${numbers.format(report.sourceRows)} rows at the source, ${numbers.format(report.destinationRows)} in the target`;
  const verdict = report.equal ? 'equal' : faults.length > 0 ? faults.join(', ') : 'no difference so far';
  return [
    `${verdict}: ${[rows, ...beside].join('; ')}${report.complete ? '' : '; not everything was compared'}`,
    ...(report.unfinished ? ['a run is in the middle of another load, which may show here'] : []),
    ...report.examples.map(({ fault, key }) => `  ${fault} ${key}`),
  ].join('\n');
}

/** One line for programs. */
export const printJson = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
export const print = (text: string): void => void process.stdout.write(`${text}\n`);
export const say = (text: string): void => void process.stderr.write(`${text}\n`);
