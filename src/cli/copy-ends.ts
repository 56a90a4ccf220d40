/** The two databases of commands that need nothing else, and how such a command is told to stop. */
import { loadConfig } from '../config/load-config.ts';
import { PenstockError } from '../domain/errors.ts';
import type { CommandInput, CommandOption } from './command.ts';
import { textOf } from './connect-client.ts';
import { exitCodes } from './exit-codes.ts';

export const endOptions: readonly CommandOption[] = [
  { flag: '--from <url>', doc: 'the source; where others see process lists, PENSTOCK_COPY_FROM instead' },
  { flag: '--to <url>', doc: 'the destination; or PENSTOCK_COPY_TO' },
];

/** Throws CONFIG, without quoting a URL. */
export function copyEnds({ options, flags }: CommandInput) {
  const [copyFrom, copyTo] = [textOf(options['from']), textOf(options['to'])];
  const config = loadConfig(['copyFrom', 'copyTo'], {
    flags: { ...flags, ...(copyFrom && { copyFrom }), ...(copyTo && { copyTo }) },
  });
  return { from: config.copyFrom, to: config.copyTo };
}

/** Aborted at the first SIGINT or SIGTERM; the second ends the process at once, which loses what is not committed. */
export function stopAtSignal(onStop: () => void): AbortSignal {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(exitCodes.runUnsuccessful);
    stop.abort(new PenstockError('RUN_STATE', 'It was told to stop.'));
    onStop();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return stop.signal;
}
