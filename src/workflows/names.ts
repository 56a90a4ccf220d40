/** Names by which programs outside of the sandbox reach a run's workflow. Histories and clients keep them for ever. */

export const syncRunType = 'syncRun';
/** Finish the batches in hand and wait. */
export const pauseUpdate = 'pause';
/** Go on after a pause. */
export const resumeUpdate = 'resume';
export const progressQuery = 'progress';

/** The workflows, whatever their class: they touch no customer's database. */
export const runQueueOf = (prefix: string): string => prefix;

/** The short activities; those of the common workers share the workflows' queue. */
export const stepQueueOf = (prefix: string, workerClass?: string): string =>
  workerClass === undefined ? prefix : `${prefix}-steps-${workerClass}`;

/** The copying itself: its slots are taken for minutes, and nothing short may wait behind them. */
export const copyQueueOf = (prefix: string, workerClass?: string): string =>
  workerClass === undefined ? `${prefix}-copy` : `${prefix}-copy-${workerClass}`;

/** Our own maintenance, by job. */
export const maintenanceTypes = {
  retention: 'forgetOld',
  orphans: 'dropOrphans',
  audit: 'auditInvariants',
} as const;
