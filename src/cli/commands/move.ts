/** `penstock move <sync>`: its next due time starts later, before the one after it. */
import { PenstockError } from '../../domain/errors.ts';
import type { Command } from '../command.ts';
import { clientConfig, connectClient, tenantOption, textOf } from '../connect-client.ts';
import { describeNext, nominalOption, undoOption } from '../next-due-time.ts';
import { print, printJson } from '../show.ts';

export const command: Command = {
  args: [{ name: '<sync>', doc: 'id or name' }],
  options: [
    { flag: '--to <time>', doc: 'when it starts instead, in ISO 8601' },
    undoOption,
    nominalOption,
    tenantOption,
  ],
  config: clientConfig,
  run: async (input) => {
    const { options, args, json } = input;
    const to = textOf(options['to']);
    if ((to === undefined) === (options['undo'] !== true))
      throw new PenstockError('CONFIG', 'say either --to, or --undo');
    const { client, tenantId } = connectClient(input);
    const sync = await client.syncs.moveNext(args[0] as string, to ?? null, {
      nominalAt: textOf(options['nominalAt']),
      tenantId,
    });
    if (json) printJson(sync);
    else print(describeNext(sync));
  },
};
