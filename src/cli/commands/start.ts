/** `penstock start`: runs roles against servers given by the configuration, until it is told to end. */
import { loadRoleConfig } from '../../config/load-config.ts';
import { optionTable, roleNeeds, type OptionName, type Role } from '../../config/options.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { Command } from '../command.ts';

const roles = Object.keys(roleNeeds) as Role[];

const workerKinds = {
  copy: ['copy'],
  workflows: ['workflows'],
  all: ['workflows', 'copy'],
} as const;

/** Of the client commands, not of a role. */
const notForRoles: readonly OptionName[] = ['apiUrl', 'apiKey'];

export const command: Command = {
  options: [
    { flag: '--roles <roles>', doc: `any of ${roles.join(', ')}, comma-separated`, default: roles.join(',') },
    {
      flag: '--worker <kind>',
      doc: 'what a worker does: copy moves rows, workflows decides and does the short steps, all does both',
      default: 'all',
    },
  ],
  config: (Object.keys(optionTable) as OptionName[]).filter((name) => !notForRoles.includes(name)),
  run: async ({ options, flags }) => {
    const wanted = rolesOf(String(options['roles']));
    const kind = kindOf(String(options['worker']));
    const config = loadRoleConfig(wanted, { flags });
    const kinds = kindsOf(kind, config.workerClass);
    const { startRoles } = await import('../../workers/start-roles.ts');
    await startRoles({ roles: wanted, workerKinds: kinds, config });
  },
};

function rolesOf(text: string): Role[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !Object.hasOwn(roleNeeds, name));
  if (unknown === undefined) return [...new Set(names as Role[])];
  throw new PenstockError(
    'CONFIG',
    `--roles must be any of ${roles.join(', ')}, comma-separated, not "${unknown}"`,
  );
}

type WorkerKinds = keyof typeof workerKinds;

function kindOf(text: string): WorkerKinds {
  if (Object.hasOwn(workerKinds, text)) return text as WorkerKinds;
  throw new PenstockError('CONFIG', `--worker must be copy, workflows or all, not "${text}"`);
}

function kindsOf(
  kind: WorkerKinds,
  workerClass: string | undefined,
): readonly ('copy' | 'steps' | 'workflows')[] {
  if (workerClass === undefined) return workerKinds[kind];
  // The workflows of all classes are the common workers'; they try steps themselves, and must not meet others' databases.
  if (kind === 'all') return ['steps', 'copy'];
  throw new PenstockError(
    'CONFIG',
    `--worker ${kind} does not go with the worker class ${workerClass}: leave --worker out, a worker of a class takes all steps of its runs`,
  );
}
