/** `penstock migrate`: brings the control database to this version's schema. */
import { loadConfig } from '../../config/load-config.ts';
import type { Command } from '../command.ts';

export const command: Command = {
  config: ['databaseUrl'],
  run: async ({ flags, json }) => {
    const { databaseUrl } = loadConfig(['databaseUrl'], { flags });
    const { migrateControl } = await import('../../workers/administer.ts');
    const applied = await migrateControl(databaseUrl);
    if (json) process.stdout.write(`${JSON.stringify({ applied })}\n`);
    else process.stdout.write(applied.length > 0 ? `applied ${applied.join(', ')}\n` : 'nothing to apply\n');
  },
};
