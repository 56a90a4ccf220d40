/**
 * `penstock copy`: one query's result into one table, with no servers but the two databases. Killed and started again it
 * goes on from the newest checkpoint; Ctrl-C commits the batches in hand and says what there is.
 */
import { describeError } from '../../domain/describe-error.ts';
import { cureOf, PenstockError } from '../../domain/errors.ts';
import type { Receipt } from '../../domain/run-states.ts';
import { parseDurationMs } from '../../domain/duration-spec.ts';
import type { Command, CommandInput } from '../command.ts';
import { textOf } from '../connect-client.ts';
import { copyEnds, endOptions, stopAtSignal } from '../copy-ends.ts';
import { specOfFlags, specOptions } from '../copy-spec.ts';
import { showPlan } from '../show-plan.ts';
import { exitCodes } from '../exit-codes.ts';
import type { CopyRequest } from '../../workers/copy-databases.ts';
import { createRateView, describeReceipt, print, printJson } from '../show.ts';

export const command: Command = {
  options: [
    ...endOptions,
    ...specOptions,
    { flag: '--plan', doc: 'say what it would do, and write nothing; exit code 5 when it would be refused' },
    { flag: '--once', doc: 'when an earlier call has done it, copy nothing and print its receipt' },
    { flag: '--reset', doc: 'forget cursor and unfinished load first: everything is read again' },
    { flag: '--delete-rows', doc: 'with --reset: also empty the table' },
    { flag: '--accept', doc: 'keep the rows of an unfinished load as they are, and begin another' },
    { flag: '--retry-for <duration>', doc: 'go on failing without progress so long', default: '10m' },
  ],
  config: ['copyFrom', 'copyTo'],
  run: async (input) => {
    const spec = specOfFlags(input.options);
    const retryForMs = retryForOf(input);
    const first = firstOf(input);
    const ends = copyEnds(input);
    const { copyDatabases, planDatabases } = await import('../../workers/copy-databases.ts');
    if (input.options['plan'] === true) return showPlan(await planDatabases(ends, spec), input.json);
    const view = createRateView();
    const stop = stopAtSignal(() => view.say('stopping: the batches in hand are being committed'));
    const startedMs = performance.now();
    const seconds = (): number => Math.round(performance.now() - startedMs) / 1_000;
    try {
      const { status, receipt, already } = await copyDatabases(ends, {
        spec,
        once: input.options['once'] === true,
        ...first,
        retryForMs,
        stop,
        onLoad: ({ continued }) => continued && view.say('goes on with an unfinished load'),
        onProgress: ({ rows }) => view.show(rows),
        onRetry: ({ code, message }, delayMs) =>
          view.say(`${message} [${code}]; again in ${Math.round(delayMs / 1_000)} s`),
      });
      view.end();
      if (input.json) printJson({ status, already, receipt, seconds: seconds() });
      else print(describeEnd({ table: spec.destination.table, status, already, receipt }));
      return status === 'succeeded' ? exitCodes.done : exitCodes.runUnsuccessful;
    } catch (error) {
      view.end();
      const { code, message } = describeError(error);
      if (input.json)
        printJson({ status: 'failed', error: { code, message, cure: cureOf(code) }, seconds: seconds() });
      throw error;
    }
  },
};

function firstOf({ options }: CommandInput): Pick<CopyRequest, 'first'> {
  const deleteRows = options['deleteRows'] === true;
  if (options['reset'] === true && options['accept'] === true)
    throw new PenstockError('CONFIG', '--accept keeps the rows, --reset reads them again: give one');
  if (options['reset'] === true) return { first: { how: 'reset', deleteRows } };
  if (deleteRows) throw new PenstockError('CONFIG', '--delete-rows goes with --reset');
  return options['accept'] === true ? { first: { how: 'accept' } } : {};
}

function retryForOf({ options }: CommandInput): number {
  const ms = parseDurationMs(textOf(options['retryFor'])!);
  if (ms === undefined)
    throw new PenstockError('CONFIG', '--retry-for must be a duration, such as 90s or 10m');
  return ms;
}

interface End {
  table: string;
  status: 'succeeded' | 'cancelled';
  already: boolean;
  receipt: Receipt | null;
}

function describeEnd({ table, status, already, receipt }: End): string {
  const what = receipt ? describeReceipt(receipt) : 'nothing is committed';
  if (status === 'succeeded') return `${table}: ${already ? 'done by an earlier call: ' : ''}${what}`;
  return `${table}: stopped; committed so far: ${what}; the same command goes on from here`;
}
