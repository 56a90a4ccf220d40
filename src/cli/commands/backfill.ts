/** `penstock backfill`: reads a stretch of a sync's cursor again; shows how far that is, or cancels it. */
import type { BackfillAnswer } from '../../client/answers.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { Command, CommandInput } from '../command.ts';
import { clientConfig, connectClient, tenantOption, textOf } from '../connect-client.ts';
import { print, printJson } from '../show.ts';

export const command: Command = {
  args: [{ name: '[sync]', doc: 'id or name; none with --id' }],
  options: [
    { flag: '--from <value>', doc: 'rows whose cursor is above it are read; as the source writes it' },
    { flag: '--to <value>', doc: 'up to and with it' },
    { flag: '--every <size>', doc: 'how much one run reads: a duration such as 1d, or a whole number; all' },
    { flag: '--request-key <key>', doc: 'the same key gives the same backfill' },
    { flag: '--id <backfill>', doc: 'shows this one' },
    { flag: '--cancel', doc: 'cancels the one with that id: the part in hand ends, and none follows' },
    tenantOption,
  ],
  config: clientConfig,
  run: async (input) => {
    const answer = await ask(input);
    if (input.json) printJson(answer);
    else print(describe(answer));
  },
};

function ask(input: CommandInput): Promise<BackfillAnswer> {
  const { client, tenantId } = connectClient(input);
  const { options, args } = input;
  const [sync, id] = [args[0], textOf(options['id'])];
  if ((sync === undefined) === (id === undefined))
    throw new PenstockError('CONFIG', 'say either a sync, with --from and --to, or --id');
  if (id !== undefined)
    return options['cancel'] === true
      ? client.backfills.cancel(id, { tenantId })
      : client.backfills.fetch(id, { tenantId });
  const [from, to] = [textOf(options['from']), textOf(options['to'])];
  if (from === undefined || to === undefined || options['cancel'] === true)
    throw new PenstockError('CONFIG', 'a backfill of a sync needs --from and --to; --cancel goes with --id');
  const [every, requestKey] = [textOf(options['every']), textOf(options['requestKey'])];
  return client.syncs.backfill(sync!, { from, to, every, requestKey, tenantId });
}

function describe({ id, status, done, parts, rows, current }: BackfillAnswer): string {
  const hand = status === 'succeeded' ? '' : `; part ${current.part} is ${current.status}: ${current.runId}`;
  return `${id} ${status}: ${done} of ${parts} parts, ${rows} rows${hand}`;
}
