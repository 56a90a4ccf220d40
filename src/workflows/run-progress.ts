/** Where a run stands, as its workflow knows it: what the query `progress` answers and current details show. */
import type { Counts } from '../activities/contract.ts';
import type { Failure } from '../domain/describe-error.ts';

export type RunPhase =
  | 'preparing'
  | 'copying'
  | 'finishing'
  | 'pausing'
  | 'paused'
  | 'closing'
  | 'succeeded'
  | 'failed'
  | 'cancelled';

export interface PartitionProgress extends Counts {
  partition: number;
  state: 'waiting' | 'copying' | 'retrying' | 'finished';
  /** How often it was given to a worker. */
  calls: number;
  /** The most batches that were ever committed of it; they are fewer when a query that cannot resume began again. */
  reached?: number;
  /** When the last call that committed anything did so last, in ISO 8601. */
  lastBatchAt?: string;
}

/** Answer of the query `progress`. Counts are as of the last call that ended: live ones are in the heartbeats. */
export interface RunProgress extends Counts {
  phase: RunPhase;
  /** Spent copying, pauses and waiting for a place not counted. */
  workedMs?: number;
  /** Of the load in hand. */
  partitions: PartitionProgress[];
  /** The last thing that went wrong, while it has not been overcome. */
  failure?: Failure & { times: number; retryAt: string };
}

/** Which partitions are shown first when there are many. */
const interest: readonly PartitionProgress['state'][] = ['retrying', 'copying', 'waiting', 'finished'];

/** Rows of partitions shown in the details; a long table helps nobody. */
const shownPartitions = 20;

/**
 * The progress as Markdown for the Web UI. Tables have neither borders nor padding there, so the numbers stand in a
 * code block, right-aligned; it gets half a window, about 58 characters of one that is 1,280 pixels wide.
 * @param title what the run copies, in Markdown; the static summary is lost when the workflow continues as new
 */
export function describeProgress(title: string, progress: RunProgress): string {
  const { phase, rows, batches, bytes } = progress;
  const facts = [
    `**${title}**`,
    `**${phase}**`,
    `${grouped(rows)} rows`,
    `${grouped(batches)} batches`,
    megabytes(bytes),
    ...paceOf(progress),
  ];
  const paragraphs = [facts.join(' · ')];
  if (progress.failure) {
    const { code, message, times, retryAt } = progress.failure;
    paragraphs.push(`\`${code}\` ${message} — failed ${times} × in a row, next try at ${retryAt}`);
  }
  if (progress.partitions.length > 0) paragraphs.push(`\`\`\`\n${tableOf(progress.partitions)}\n\`\`\``);
  if (progress.phase === 'copying')
    paragraphs.push(
      'Of calls that have ended, times in UTC. Live numbers: heartbeat details of the pending activities.',
    );
  return paragraphs.join('\n\n');
}

/** Partitions are key ranges of about the same size, so those that are finished tell how long the others take. */
function paceOf({ phase, rows, workedMs = 0, partitions }: RunProgress): string[] {
  if (workedMs < 1_000 || rows === 0) return [];
  const pace = [`${grouped(Math.round((rows * 1_000) / workedMs))} rows/s`];
  const finished = partitions.filter(({ state }) => state === 'finished').length;
  if (phase !== 'copying' || finished === 0 || finished === partitions.length) return pace;
  const leftMs = (workedMs * (partitions.length - finished)) / finished;
  return [
    ...pace,
    `${finished} of ${partitions.length} partitions`,
    `about ${grouped(Math.ceil(leftMs / 60_000))} min left`,
  ];
}

function tableOf(partitions: readonly PartitionProgress[]): string {
  const shown =
    partitions.length > shownPartitions
      ? partitions.toSorted((a, b) => interest.indexOf(a.state) - interest.indexOf(b.state))
      : partitions;
  const rows = shown
    .slice(0, shownPartitions)
    .map((p) => [
      String(p.partition),
      p.state,
      grouped(p.rows),
      grouped(p.batches),
      String(p.calls),
      p.lastBatchAt?.slice('yyyy-'.length, 'yyyy-mm-ddThh:mm'.length).replace('T', ' ') ?? '–',
    ]);
  const cells = [['part', 'state', 'rows', 'batches', 'calls', 'last batch'], ...rows];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => (column === 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
  const hidden = partitions.length - shownPartitions;
  return [...lines, ...(hidden > 0 ? [`… and ${hidden} more`] : [])].join('\n');
}

const grouped = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',');

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;
