/** Every command: the verb, a line of help, its file. */
import type { CommandEntry } from './command.ts';

export const commandTable: Readonly<Record<string, CommandEntry>> = {
  dev: {
    summary: 'Start embedded PostgreSQL, Redis and Temporal with its Web UI, and all roles',
    load: () => import('./commands/dev.ts'),
  },
  migrate: {
    summary: 'Bring the control database to this version’s schema',
    load: () => import('./commands/migrate.ts'),
  },
  keys: {
    summary: 'Make an operator’s API key',
    load: () => import('./commands/keys.ts'),
  },
  demo: {
    summary: 'Copy real data on an embedded stack, kill a worker in the middle, compare row by row',
    load: () => import('./commands/demo.ts'),
  },
  start: {
    summary: 'Run roles (api, dispatcher, worker) against configured servers',
    load: () => import('./commands/start.ts'),
  },
};
