/** `penstock migrate`: gives the control database this version's schema, and the Temporal namespace its search attributes. */
import { loadConfig } from '../../config/load-config.ts';
import type { Command } from '../command.ts';

export const command: Command = {
  config: ['databaseUrl', 'temporalAddress', 'temporalNamespace'],
  run: async ({ flags, json }) => {
    const config = loadConfig(['databaseUrl'], { flags });
    const { migrateControl, prepareTemporal } = await import('../../workers/administer.ts');
    const applied = await migrateControl(config.databaseUrl);
    const temporal = await prepareTemporal(config);
    if (json) process.stdout.write(`${JSON.stringify({ applied, temporal })}\n`);
    else {
      process.stdout.write(applied.length > 0 ? `applied ${applied.join(', ')}\n` : 'nothing to apply\n');
      process.stdout.write(
        temporal === 'prepared'
          ? `Temporal namespace ${config.temporalNamespace} has its search attributes\n`
          : `Temporal at ${config.temporalAddress} does not answer: workers add its search attributes when they start\n`,
      );
    }
  },
};
