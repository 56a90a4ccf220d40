/** Names by which programs outside of the sandbox reach a run's workflow. Histories and clients keep them for ever. */

export const syncRunType = 'syncRun';
/** Finish the batches in hand and wait. */
export const pauseUpdate = 'pause';
/** Go on after a pause. */
export const resumeUpdate = 'resume';
export const progressQuery = 'progress';

/** The workflows and the short activities. */
export const runQueueOf = (prefix: string): string => prefix;

/** The copying itself: its slots are taken for minutes, and nothing short may wait behind them. */
export const copyQueueOf = (prefix: string): string => `${prefix}-copy`;

/** Our own maintenance, by job. */
export const maintenanceTypes = {
  retention: 'forgetOld',
  orphans: 'dropOrphans',
  audit: 'auditInvariants',
} as const;
