/** `penstock skip <sync>`: its next due time is recorded and not run. */
import type { Command } from '../command.ts';
import { clientConfig, connectClient, tenantOption, textOf } from '../connect-client.ts';
import { describeNext, nominalOption, undoOption } from '../next-due-time.ts';
import { print, printJson } from '../show.ts';

export const command: Command = {
  args: [{ name: '<sync>', doc: 'id or name' }],
  options: [undoOption, nominalOption, tenantOption],
  config: clientConfig,
  run: async (input) => {
    const { options, args, json } = input;
    const { client, tenantId } = connectClient(input);
    const sync = await client.syncs.skipNext(args[0] as string, {
      skip: options['undo'] !== true,
      nominalAt: textOf(options['nominalAt']),
      tenantId,
    });
    if (json) printJson(sync);
    else print(describeNext(sync));
  },
};
