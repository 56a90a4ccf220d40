/** `penstock keys create`: makes an operator's API key in the control database; the API makes all others. */
import { loadConfig } from '../../config/load-config.ts';
import { apiKeyRoles } from '../../domain/access.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { Command } from '../command.ts';

export const command: Command = {
  args: [{ name: '<action>', doc: 'create' }],
  options: [
    { flag: '--name <name>', doc: 'what it is for, shown in lists and in the audit', default: 'cli' },
    { flag: '--role <role>', doc: `what it may do: ${apiKeyRoles.join(', ')}`, default: 'admin' },
  ],
  config: ['databaseUrl'],
  run: async ({ args: [action], options, flags, json }) => {
    if (action !== 'create') throw new PenstockError('CONFIG', `keys takes create, not "${action}"`);
    const role = apiKeyRoles.find((one) => one === options['role']);
    if (!role)
      throw new PenstockError(
        'CONFIG',
        `--role must be one of ${apiKeyRoles.join(', ')}, not "${options['role']}"`,
      );
    const { databaseUrl } = loadConfig(['databaseUrl'], { flags });
    const { createOperatorKey } = await import('../../workers/administer.ts');
    const created = await createOperatorKey(databaseUrl, { name: String(options['name']), role });
    process.stdout.write(json ? `${JSON.stringify(created)}\n` : `${created.key}\n`);
  },
};
