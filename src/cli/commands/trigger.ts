/** `penstock trigger <sync>`: queues a run; with `--wait` it follows the run to its end. */
import type { RunAnswer } from '../../client/answers.ts';
import { PenstockError } from '../../domain/errors.ts';
import { onRunningWays, type OnRunning } from '../../domain/trigger.ts';
import type { Command } from '../command.ts';
import { clientConfig, connectClient, integerOf, tenantOption, textOf } from '../connect-client.ts';
import { exitCodes } from '../exit-codes.ts';
import { createProgressView, print, printJson, progressOf } from '../show.ts';

/** A terminal is told this often how far the run is. */
const lookEveryS = 1;

export const command: Command = {
  args: [{ name: '<sync>', doc: 'id or name' }],
  options: [
    { flag: '--wait', doc: 'wait until the run is final; exit code 2 unless it succeeds' },
    { flag: '--priority <n>', doc: '1 first … 5 last; the sync’s by default' },
    { flag: '--request-key <key>', doc: 'the same key gives the same run, however often it is triggered' },
    { flag: '--at <time>', doc: 'when it is due, in ISO 8601; now by default' },
    { flag: '--in <duration>', doc: 'after how long it is due, such as 90s' },
    {
      flag: '--on-running <way>',
      doc: 'while a run is open: queue (one waits, by default), join (that one is followed), reject',
    },
    tenantOption,
  ],
  config: clientConfig,
  run: async (input) => {
    const { client, tenantId } = connectClient(input);
    const { options, json } = input;
    const run = await client.syncs.trigger(input.args[0] as string, {
      priority: integerOf('--priority', options['priority'], { least: 1, most: 5 }),
      requestKey: textOf(options['requestKey']),
      at: textOf(options['at']),
      in: textOf(options['in']),
      onRunning: onRunningOf(textOf(options['onRunning'])),
      tenantId,
    });
    if (options['wait'] !== true) {
      if (json) printJson({ id: run.id, status: 'queued' });
      else print(run.id);
      return exitCodes.done;
    }
    const view = createProgressView();
    const ended = await run.wait({ lookEveryS, ...(json ? {} : { onLook: (seen) => view.show(seen) }) });
    view.end();
    if (json) printJson(ended);
    else print(describe(ended));
    return ended.status === 'succeeded' ? exitCodes.done : exitCodes.runUnsuccessful;
  },
};

function onRunningOf(text: string | undefined): OnRunning | undefined {
  if (text === undefined) return undefined;
  const way = onRunningWays.find((one) => one === text);
  if (way) return way;
  throw new PenstockError('CONFIG', `--on-running must be one of ${onRunningWays.join(', ')}, not "${text}"`);
}

function describe(run: RunAnswer): string {
  const why = run.error ? `: ${run.error.code} ${run.error.message ?? ''} ${run.error.cure}` : '';
  return `${run.id} ${progressOf(run)}${why}`.trimEnd();
}
