/** `penstock verify`: compares source and target, of a sync through the API or of a copy between two databases. */
import { PenstockError } from '../../domain/errors.ts';
import type { VerifyReport } from '../../domain/verify-report.ts';
import type { Command, CommandInput } from '../command.ts';
import { clientConfig, connectClient, integerOf, tenantOption, textOf } from '../connect-client.ts';
import { copyEnds, endOptions, stopAtSignal } from '../copy-ends.ts';
import { exitCodes } from '../exit-codes.ts';
import { describeVerified, print, printJson, say } from '../show.ts';

export const command: Command = {
  args: [{ name: '[sync]', doc: 'id or name; none for a copy, which --table and --name tell' }],
  options: [
    { flag: '--max-examples <n>', doc: 'keys of so many rows that differ', default: '20' },
    { flag: '--max-seconds <n>', doc: 'of a sync: how long the API may compare, up to 240', default: '60' },
    ...endOptions,
    { flag: '--table <table>', doc: 'of a copy' },
    { flag: '--name <name>', doc: 'of a copy', default: 'copy' },
    tenantOption,
  ],
  config: [...clientConfig, 'copyFrom', 'copyTo'],
  run: async (input) => {
    const report = await (input.args[0] === undefined ? verifyCopy(input) : verifySync(input, input.args[0]));
    if (input.json) printJson(report);
    else print(describeVerified(report));
    return report.equal ? exitCodes.done : exitCodes.unequal;
  },
};

const examplesOf = ({ options }: CommandInput): number =>
  integerOf('--max-examples', options['maxExamples'], { least: 0, most: 1_000 })!;

function verifySync(input: CommandInput, ref: string): Promise<VerifyReport> {
  const { client, tenantId } = connectClient(input);
  return client.syncs.verify(ref, {
    maxExamples: examplesOf(input),
    maxSeconds: integerOf('--max-seconds', input.options['maxSeconds'], { least: 1, most: 240 })!,
    tenantId,
  });
}

async function verifyCopy(input: CommandInput): Promise<VerifyReport> {
  const table = textOf(input.options['table']);
  if (table === undefined)
    throw new PenstockError('CONFIG', 'verify needs a sync, or --table with --from and --to for a copy');
  const maxExamples = examplesOf(input);
  const ends = copyEnds(input);
  const { verifyDatabases } = await import('../../workers/copy-databases.ts');
  return verifyDatabases(ends, {
    table,
    name: textOf(input.options['name'])!,
    maxExamples,
    signal: stopAtSignal(() => say('stopping')),
    onProgress: ({ sourceRows }, part, parts) =>
      say(`${part} of ${parts} parts · ${sourceRows.toLocaleString('en-US')} rows`),
  });
}
