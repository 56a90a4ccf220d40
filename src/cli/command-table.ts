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
  doctor: {
    summary: 'Look at every server that Penstock stands on, and say what to mend',
    load: () => import('./commands/doctor.ts'),
  },
  copy: {
    summary: 'Copy a query’s result into a table once, with no servers but the two databases',
    load: () => import('./commands/copy.ts'),
  },
  trigger: {
    summary: 'Run a sync now',
    load: () => import('./commands/trigger.ts'),
  },
  skip: {
    summary: 'Record the next due time of a sync and do not run it',
    load: () => import('./commands/skip.ts'),
  },
  move: {
    summary: 'Let the next due time of a sync start later',
    load: () => import('./commands/move.ts'),
  },
  backfill: {
    summary: 'Read a stretch of a sync’s cursor again',
    load: () => import('./commands/backfill.ts'),
  },
  pause: {
    summary: 'Record due times of a sync, a tenant or all and do not run them',
    load: () => import('./commands/pause.ts'),
  },
  resume: {
    summary: 'End a pause',
    load: () => import('./commands/resume.ts'),
  },
  runs: {
    summary: 'List runs, or show one',
    load: () => import('./commands/runs.ts'),
  },
  explain: {
    summary: 'Say why a run is not at work',
    load: () => import('./commands/explain.ts'),
  },
  plan: {
    summary: 'Say what a sync’s next run would do, and all that it would be refused for',
    load: () => import('./commands/plan.ts'),
  },
  next: {
    summary: 'The next times of a schedule',
    load: () => import('./commands/next.ts'),
  },
  verify: {
    summary: 'Compare a sync’s source with its target',
    load: () => import('./commands/verify.ts'),
  },
  rejects: {
    summary: 'The rows that a sync’s target has refused, or try them again',
    load: () => import('./commands/rejects.ts'),
  },
  reset: {
    summary: 'Let a sync read everything again, or accept its unfinished load',
    load: () => import('./commands/reset.ts'),
  },
  start: {
    summary: 'Run roles (api, dispatcher, worker) against configured servers',
    load: () => import('./commands/start.ts'),
  },
};
