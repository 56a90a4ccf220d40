/** `penstock pause`: due times of a sync, a tenant or all are recorded and not run, until resumed or for a while. */
import type { Command } from '../command.ts';
import { clientConfig, connectClient, textOf } from '../connect-client.ts';
import { nameOf, pauseTargetArgs, pauseTargetOf, pauseTargetOptions } from '../pause-target.ts';
import { print, printJson } from '../show.ts';

export const command: Command = {
  args: pauseTargetArgs,
  options: [
    ...pauseTargetOptions,
    { flag: '--reason <text>', doc: 'for whoever wonders' },
    { flag: '--until <time>', doc: 'when it ends by itself, in ISO 8601; without it: when it is resumed' },
  ],
  config: clientConfig,
  run: async (input) => {
    const { client } = connectClient(input);
    const target = pauseTargetOf(input);
    const { sync, tenant } = target;
    const terms = { reason: textOf(input.options['reason']), until: textOf(input.options['until']) };
    const pause =
      sync !== undefined
        ? (await client.syncs.pause(sync, { ...terms, tenantId: tenant })).pause
        : await (tenant === undefined ? client.pauses.pauseAll(terms) : client.tenants.pause(tenant, terms));
    if (input.json) printJson(pause);
    else print(`${nameOf(target)} is paused until ${pause?.until ?? 'it is resumed'}; runs at work go on`);
  },
};
