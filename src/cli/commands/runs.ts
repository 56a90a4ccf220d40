/** `penstock runs [run]`: lists runs, newest first, or shows one with all that the API says of it. */
import type { RunAnswer, RunAttemptAnswer } from '../../client/answers.ts';
import { PenstockError } from '../../domain/errors.ts';
import { runStatuses, type RunStatus } from '../../domain/run-states.ts';
import type { Command } from '../command.ts';
import { clientConfig, connectClient, integerOf, tenantOption, textOf } from '../connect-client.ts';
import { print, printJson, tableOf } from '../show.ts';

export const command: Command = {
  args: [{ name: '[run]', doc: 'id of a run' }],
  options: [
    { flag: '--sync <sync>', doc: 'only of this sync (id or name)' },
    { flag: '--status <statuses>', doc: `any of ${runStatuses.join(', ')}, comma-separated` },
    { flag: '--limit <n>', doc: 'how many, 1 to 200', default: '20' },
    tenantOption,
  ],
  config: clientConfig,
  run: async (input) => {
    const { client, tenantId } = connectClient(input);
    const [id] = input.args;
    if (id !== undefined) {
      const run = await client.runs.fetch(id);
      if (input.json) return printJson(run);
      print(describe(run));
      const { items } = await client.runs.attempts(id, { limit: 200 });
      const failed = items.filter(({ outcome }) => outcome === 'failed');
      if (failed.length > 0) print(`\nattempts that failed\n${tableOf(failed.map(rowOfAttempt))}`);
      return;
    }
    const page = await client.runs.list({
      syncId: textOf(input.options['sync']),
      status: statusesOf(textOf(input.options['status'])),
      limit: integerOf('--limit', input.options['limit'], { least: 1, most: 200 }),
      tenantId,
    });
    if (input.json) printJson(page);
    else print(page.items.length === 0 ? 'no runs' : tableOf(page.items.map(rowOf)));
  },
};

function statusesOf(text: string | undefined): RunStatus[] | undefined {
  if (text === undefined) return undefined;
  return text.split(',').map((word) => {
    const status = runStatuses.find((one) => one === word.trim());
    if (status) return status;
    throw new PenstockError(
      'CONFIG',
      `--status must be any of ${runStatuses.join(', ')}, comma-separated, not "${text}"`,
    );
  });
}

const secondsOf = ({ startedAt, endedAt }: RunAnswer): string =>
  startedAt === null || endedAt === null
    ? ''
    : ((Date.parse(endedAt) - Date.parse(startedAt)) / 1000).toFixed(1);

const rowOf = (run: RunAnswer) => ({
  run: run.id,
  sync: run.syncName,
  origin: run.origin,
  status: run.waitingReason === null ? run.status : `${run.status} (${run.waitingReason})`,
  'queued at': run.queuedAt,
  seconds: secondsOf(run),
  rows: run.receipt?.read ?? run.progress.rows,
  error: troubleOf(run),
});

function troubleOf({ error, pausedSteps, retry }: RunAnswer): string {
  if (error) return error.code;
  if (pausedSteps.length > 0) return 'paused in Temporal';
  return retry ? `${retry.code}, tried again` : '';
}

const rowOfAttempt = ({ partition, worker, endedAt, rows, error }: RunAttemptAnswer) => ({
  'ended at': endedAt,
  partition,
  worker,
  rows,
  error: error === null ? '' : `${error.code} ${error.message ?? ''}`,
});

const describePausedStep = ({
  step,
  activityId,
  by,
  reason,
  since,
}: RunAnswer['pausedSteps'][number]): string =>
  `${step}, in Temporal (activity ${activityId}) by ${by === '' ? 'somebody' : by} at ${since}${reason === '' ? '' : `, "${reason}"`}: unpause it there, or cancel the run`;

function describe(run: RunAnswer): string {
  const { links, receipt, error, retry, pausedSteps, progress } = run;
  const lines: readonly (readonly [string, string | number | null | undefined])[] = [
    ['run', run.id],
    ['sync', `${run.syncName} (version ${run.syncVersion})`],
    ['origin', run.origin],
    ['status', run.waitingReason === null ? run.status : `${run.status} (${run.waitingReason})`],
    ['due', run.dueAt],
    ['started', run.startedAt],
    ['ended', run.endedAt],
    ['attempts', run.attempts],
    ['progress', `${progress.rows} rows, ${progress.batches} batches, ${progress.bytes} bytes`],
    [
      'receipt',
      receipt &&
        Object.entries(receipt)
          .map(([name, count]) => `${name} ${count}`)
          .join(', '),
    ],
    ['error', error && `${error.code} ${error.message ?? ''}`],
    [
      'retry',
      retry &&
        `${retry.step}: ${retry.code} ${retry.message} — failed ${retry.times} × in a row, next try at ${retry.nextAt}`,
    ],
    ...pausedSteps.map((step) => ['paused', describePausedStep(step)] as const),
    ['workflow', links.temporal ?? run.workflowId],
  ];
  return lines
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name.padEnd(9)} ${String(value)}`)
    .join('\n');
}
