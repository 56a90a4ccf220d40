/** Everything that the workflow bundle registers. */
export { syncRun } from './sync-run.ts';
