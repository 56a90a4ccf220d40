/** Everything that the workflow bundle registers. */
export { auditInvariants, dropOrphans, forgetOld } from './maintenance.ts';
export { syncRun } from './sync-run.ts';
