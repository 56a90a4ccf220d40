/** `penstock reset <sync>`: the next run reads everything again; or the rows of an unfinished append are accepted. */
import { PenstockError } from '../../domain/errors.ts';
import type { Command } from '../command.ts';
import { clientConfig, connectClient, tenantOption } from '../connect-client.ts';
import { print, printJson } from '../show.ts';

export const command: Command = {
  args: [{ name: '<sync>', doc: 'id or name' }],
  options: [
    { flag: '--delete-rows', doc: 'also empty the target table' },
    { flag: '--accept', doc: 'keep the rows of an unfinished load as they are, instead of resetting' },
    tenantOption,
  ],
  config: clientConfig,
  run: async (input) => {
    const { client, tenantId } = connectClient(input);
    const [deleteRows, accept] = [input.options['deleteRows'] === true, input.options['accept'] === true];
    if (deleteRows && accept)
      throw new PenstockError('CONFIG', '--accept keeps the rows, --delete-rows deletes them: give one');
    const done = await client.syncs.reset(input.args[0] as string, {
      how: accept ? 'accept' : 'reset',
      deleteRows,
      ...(tenantId === undefined ? {} : { tenantId }),
    });
    if (input.json) printJson(done);
    else
      print(accept ? `${done.id}: its rows are accepted` : `${done.id}: its next run reads everything again`);
  },
};
