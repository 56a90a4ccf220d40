/** What the demo has to say at its end: for people a table of runs and where to look, for programs one line of JSON. */
import type { RunAnswer } from '../../client/index.ts';
import type { DevAddresses } from '../dev-stack.ts';
import type { DemoOutcome } from './run-demo.ts';

/** The last line of `penstock demo --json`. `rows` were read, `seconds` are null for a run that never began. */
export const outcomeJson = ({ ok, equal, runs }: DemoOutcome): string =>
  JSON.stringify({
    ok,
    equal,
    runs: runs.map((run) => ({
      sync: run.syncName,
      runId: run.id,
      workflowId: run.workflowId,
      status: run.status,
      origin: run.origin,
      rows: run.receipt?.read ?? run.progress.rows,
      seconds: secondsOf(run),
      attempts: run.attempts,
    })),
  });

/** Start to end, to the millisecond. */
const secondsOf = ({ startedAt, endedAt }: RunAnswer): number | null =>
  startedAt && endedAt ? (Date.parse(endedAt) - Date.parse(startedAt)) / 1000 : null;

/** The receipts, one line a run; runs that found nothing new are counted only. */
export function describeReceipts({ runs }: DemoOutcome): string {
  const shown = runs.filter((run) => run.status !== 'succeeded' || (run.receipt?.read ?? 0) > 0);
  const quiet = runs.length - shown.length;
  const table = shown.map((run) => [
    run.syncName,
    run.origin,
    run.status,
    ...[
      run.receipt?.read,
      run.receipt?.inserted,
      run.receipt?.updated,
      run.receipt?.unchanged,
      run.receipt?.batches,
    ].map((count) => count?.toLocaleString('en-US') ?? ''),
    secondsOf(run)?.toFixed(1) ?? '',
    String(run.attempts),
  ]);
  const head = [
    'sync',
    'origin',
    'status',
    'read',
    'inserted',
    'updated',
    'unchanged',
    'batches',
    'seconds',
    'attempts',
  ];
  const widths = head.map((title, i) => Math.max(title.length, ...table.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((cell, i) => (i < 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')}`;
  return [
    'Receipts',
    line(head),
    ...table.map(line),
    ...(quiet > 0 ? [`  and ${quiet} scheduled run(s) of subscribers that found nothing new`] : []),
  ].join('\n');
}

/** Where to look while the stack is up. */
export const describeKept = (
  { apiUrl, apiKey, temporalUiUrl, postgresUrl, dataDir }: DevAddresses,
  { runs }: DemoOutcome,
): string => `
The stack stays up until Ctrl-C; its data go with it.

  API docs         ${apiUrl}/docs
  API              curl -H 'Authorization: Bearer ${apiKey}' ${apiUrl}/v1/runs
  Temporal Web UI  ${temporalUiUrl}
${runs
  .filter((run) => (run.receipt?.read ?? 0) > 0)
  .map((run) => `    ${run.syncName.padEnd(13)}  ${run.links.temporal ?? run.workflowId}`)
  .join('\n')}
  PostgreSQL       ${postgresUrl} (databases acme-warehouse, app-db, penstock)
  data and logs    ${dataDir}
`;
