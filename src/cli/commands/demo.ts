/** `penstock demo`: the whole product on this machine, on real data, through the death of a worker. */
import { once } from 'node:events';
import { runDemoOnStack } from '../../dev/demo/demo-stack.ts';
import { describeKept, describeReceipts, outcomeJson } from '../../dev/demo/describe-outcome.ts';
import { showProgress } from '../../dev/demo/progress.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { Command } from '../command.ts';

/** 128 + SIGINT, as shells report it. */
const exitInterrupted = 130;
const leastRows = 1_000;

export const command: Command = {
  options: [
    { flag: '--rows <n>', doc: 'how many subscribers to generate', default: '1000000' },
    { flag: '--keep', doc: 'leave everything running at the end, and say how to look at it' },
  ],
  run: async ({ options, json }) => {
    const rows = parseRows(String(options['rows']));
    const output = json ? process.stderr : process.stdout;
    const asked = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    const demo = await Promise.race([runDemoOnStack(rows, showProgress(output)), asked]);
    // Told to stop in the middle: the guard ends what is running.
    if (!('outcome' in demo)) process.exit(exitInterrupted);
    const { outcome, stack } = demo;
    output.write(`\n${describeReceipts(outcome)}\n`);
    if (options['keep'] !== undefined) {
      output.write(describeKept(stack.addresses(), outcome));
      if (json) process.stdout.write(`${outcomeJson(outcome)}\n`);
      await asked;
      output.write('Stopping.\n');
      await stack.discard();
      return outcome.ok ? 0 : 1;
    }
    await stack.discard();
    output.write(`\n${outcome.ok ? 'Everything arrived, once.' : 'THE DEMO FAILED.'} `);
    output.write('With --keep the stack stays up, with the runs in the Temporal Web UI and the API docs.\n');
    if (json) process.stdout.write(`${outcomeJson(outcome)}\n`);
    return outcome.ok ? 0 : 1;
  },
};

function parseRows(text: string): number {
  const rows = Number(text);
  if (Number.isSafeInteger(rows) && rows >= leastRows) return rows;
  throw new PenstockError('CONFIG', `--rows must be a whole number from ${leastRows}, not "${text}".`);
}
