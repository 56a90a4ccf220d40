/**
 * `penstock verify`: compares source and target, of a sync through the API for as long as a request may last, or between two
 * databases for as long as it takes.
 */
import { PenstockError } from '../../domain/errors.ts';
import { isId } from '../../domain/ids.ts';
import type { VerifyReport } from '../../domain/verify-report.ts';
import type { VerifyOf } from '../../workers/copy-databases.ts';
import type { Command, CommandInput } from '../command.ts';
import { clientConfig, connectClient, integerOf, tenantOption, textOf } from '../connect-client.ts';
import { copyEnds, endOptions, stopAtSignal } from '../copy-ends.ts';
import { scopeOfFlags } from '../copy-spec.ts';
import { exitCodes } from '../exit-codes.ts';
import { describeVerified, print, printJson, say } from '../show.ts';

export const command: Command = {
  args: [
    {
      name: '[sync]',
      doc: 'id or name; its id with --from and --to; none for a copy, which --table and --name tell',
    },
  ],
  options: [
    { flag: '--max-examples <n>', doc: 'keys of so many rows that differ', default: '20' },
    { flag: '--max-seconds <n>', doc: 'how long the API may compare, up to 240', default: '60' },
    ...endOptions,
    { flag: '--table <table>', doc: 'of a copy' },
    { flag: '--name <name>', doc: 'of a copy', default: 'copy' },
    { flag: '--scope <values>', doc: 'of a copy: column=value, with commas between' },
    tenantOption,
  ],
  config: [...clientConfig, 'copyFrom', 'copyTo'],
  run: async (input) => {
    const [ref] = input.args;
    const isDirect = ref === undefined || 'from' in input.options || 'to' in input.options;
    const report = await (isDirect ? verifyDirectly(input) : verifySync(input, ref));
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

function whatOf({ args: [ref], options }: CommandInput): VerifyOf {
  if (ref !== undefined) {
    if (isId('sync', ref)) return ref;
    throw new PenstockError(
      'CONFIG',
      'with --from and --to a sync is told by its id (syn_…), not by its name',
    );
  }
  const table = textOf(options['table']);
  if (table === undefined)
    throw new PenstockError('CONFIG', 'verify needs a sync, or --table with --from and --to for a copy');
  return { table, name: textOf(options['name'])!, scope: scopeOfFlags(options) };
}

async function verifyDirectly(input: CommandInput): Promise<VerifyReport> {
  const of = whatOf(input);
  const maxExamples = examplesOf(input);
  const ends = copyEnds(input);
  const { verifyDatabases } = await import('../../workers/copy-databases.ts');
  return verifyDatabases(ends, {
    of,
    maxExamples,
    signal: stopAtSignal(() => say('stopping')),
    onProgress: ({ sourceRows }, part, parts) =>
      say(`${part} of ${parts} parts · ${sourceRows.toLocaleString('en-US')} rows`),
  });
}
