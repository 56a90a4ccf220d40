/** `penstock resume`: ends the pause of a sync, a tenant or all. */
import type { Command } from '../command.ts';
import { clientConfig, connectClient } from '../connect-client.ts';
import { nameOf, pauseTargetArgs, pauseTargetOf, pauseTargetOptions } from '../pause-target.ts';
import { print, printJson } from '../show.ts';

export const command: Command = {
  args: pauseTargetArgs,
  options: pauseTargetOptions,
  config: clientConfig,
  run: async (input) => {
    const { client } = connectClient(input);
    const target = pauseTargetOf(input);
    const { sync, tenant } = target;
    if (sync !== undefined) await client.syncs.resume(sync, { tenantId: tenant });
    else await (tenant === undefined ? client.pauses.resumeAll() : client.tenants.resume(tenant));
    const left = await client.pauses.list();
    if (input.json) printJson({ pauses: left.items });
    else
      print(
        `${nameOf(target)} is resumed; pauses in force: ${left.items.length}${left.next ? ' and more' : ''}`,
      );
  },
};
