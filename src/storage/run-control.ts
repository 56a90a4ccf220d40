/**
 * Runs as users see and steer them (src/ports/run-control.ts). The row changes first; index and engine hear of it after
 * the commit, and if they are away the dispatcher's sweep tells them.
 */
import { PenstockError } from '../domain/errors.ts';
import type { RunId } from '../domain/ids.ts';
import type { RunChange, RunStatus } from '../domain/run-states.ts';
import type { Run, RunControl } from '../ports/run-control.ts';
import type { Scope } from '../ports/scope.ts';
import { tellCancelled } from './end-runs.ts';
import { inScope, insertAudit } from './in-scope.ts';
import { createTellIndex, type IndexNews } from './index-news.ts';
import { listAttempts } from './run-attempts.ts';
import { fetchOffer } from './run-offers.ts';
import { fetchRun, listRunEvents, listRuns } from './run-rows.ts';
import { changeRun } from './run-status.ts';
import type { StoreDeps } from './store-deps.ts';
import type { Tx } from './transaction.ts';
import { triggerRun } from './trigger-run.ts';

/** What follows from a change of a run: for the index, and for its workflow. */
interface Steered {
  run: Run;
  news?: IndexNews;
  tell?: 'cancel' | 'pause' | 'resume';
}

/** Steering of runs over a pool. */
export function createRunControl({ pool, announcer, starter, logger }: StoreDeps): RunControl {
  const tellIndex = createTellIndex(announcer, logger);

  async function steer(scope: Scope, work: (tx: Tx) => Promise<Steered>): Promise<Run> {
    const { run, news = {}, tell } = await inScope(pool, scope, work);
    await tellIndex(news);
    if (tell === 'cancel') await tellCancelled({ starter, logger }, [run.workflowId]);
    else if (tell) await insist(run, tell);
    return run;
  }

  /** Nobody repeats a pause or a resume, so whoever asked must hear that the workflow did not. */
  async function insist(run: Run, tell: 'pause' | 'resume'): Promise<void> {
    try {
      await starter[tell](run.workflowId);
    } catch (cause) {
      throw new PenstockError(
        'ENGINE_UNREACHABLE',
        `run ${run.id} is ${run.status}, but its workflow did not hear the ${tell}: ask again`,
        { cause },
      );
    }
  }

  return {
    trigger: async (scope, syncRef, request) => {
      const { run, created, news } = await inScope(pool, scope, (tx) =>
        triggerRun(tx, scope, { ref: syncRef, request }),
      );
      await tellIndex(news);
      return { run, created };
    },
    fetch: (scope, runId) => inScope(pool, scope, (tx) => fetchRun(tx, runId)),
    list: (scope, filter, page) => inScope(pool, scope, (tx) => listRuns(tx, filter, page)),
    listEvents: (scope, runId, page) =>
      inScope(pool, scope, async (tx) => listRunEvents(tx, (await fetchRun(tx, runId)).id, page)),
    listAttempts: (scope, runId, page) =>
      inScope(pool, scope, async (tx) => listAttempts(tx, (await fetchRun(tx, runId)).id, page)),
    setPriority: (scope, runId, priority) =>
      steer(scope, (tx) => setRunPriority(tx, scope, { ref: runId, priority })),
    cancel: (scope, runId) => steer(scope, (tx) => cancelRun(tx, scope, runId)),
    pause: (scope, runId) => steer(scope, (tx) => pauseRun(tx, scope, runId)),
    resume: (scope, runId) => steer(scope, (tx) => resumeRun(tx, scope, runId)),
  };
}

/** Fetches a run and holds it, so that what is decided by its status stays true. */
async function lockRun(tx: Tx, runId: string): Promise<Run> {
  await tx.query('select from penstock.run where id = $1 for no key update', [runId]);
  return fetchRun(tx, runId);
}

async function setRunPriority(
  tx: Tx,
  scope: Scope,
  { ref, priority }: { ref: string; priority: number },
): Promise<Steered> {
  const run = await lockRun(tx, ref);
  if (run.status !== 'queued' && run.status !== 'paused')
    throw refusal(run.id, run.status, 'moved: it waits for no place');
  if (run.priority === priority) return { run };
  await tx.query('update penstock.run set priority = $2 where id = $1', [run.id, priority]);
  await insertAudit(tx, scope, {
    tenantId: run.tenantId,
    action: 'run.priority',
    objectId: run.id,
    data: { priority },
  });
  const isWaiting = run.status === 'queued' || run.waitingReason !== null;
  return {
    run: await fetchRun(tx, run.id),
    news: isWaiting ? { offered: await fetchOffer(tx, run.id) } : {},
  };
}

async function cancelRun(tx: Tx, scope: Scope, ref: string): Promise<Steered> {
  const run = await lockRun(tx, ref);
  if (run.status === 'cancelled') return { run };
  if (run.status === 'cancelling') return { run, tell: 'cancel' };
  const name: RunChange = run.status === 'queued' ? 'drop' : 'cancel';
  const changed = await makeChange(tx, scope, run, name, 'cancelled');
  return name === 'drop' ? { run: changed, news: { released: [run.id] } } : { run: changed, tell: 'cancel' };
}

async function pauseRun(tx: Tx, scope: Scope, ref: string): Promise<Steered> {
  const run = await lockRun(tx, ref);
  if (run.status === 'paused') return unresume(tx, run);
  if (run.status === 'pausing') return { run, tell: 'pause' };
  return { run: await makeChange(tx, scope, run, 'pause', 'paused'), tell: 'pause' };
}

async function resumeRun(tx: Tx, scope: Scope, ref: string): Promise<Steered> {
  const run = await lockRun(tx, ref);
  if (run.status === 'running') return { run, tell: 'resume' };
  if (run.status === 'paused') return askForPlace(tx, scope, run);
  return { run: await makeChange(tx, scope, run, 'resume', 'resumed'), tell: 'resume' };
}

/** It has given its place back: admit makes it run again when there is one. */
async function askForPlace(tx: Tx, scope: Scope, run: Run): Promise<Steered> {
  if (run.waitingReason === null) {
    await tx.query(`update penstock.run set waiting_reason = 'global_cap' where id = $1`, [run.id]);
    await insertAudit(tx, scope, { tenantId: run.tenantId, action: 'run.resume', objectId: run.id });
  }
  return { run: await fetchRun(tx, run.id), news: { offered: await fetchOffer(tx, run.id) } };
}

/** It stays paused, also when it was waiting to go on. */
async function unresume(tx: Tx, run: Run): Promise<Steered> {
  if (run.waitingReason === null) return { run };
  await tx.query('update penstock.run set waiting_reason = null where id = $1', [run.id]);
  return { run: await fetchRun(tx, run.id), news: { released: [run.id] } };
}

async function makeChange(tx: Tx, scope: Scope, run: Run, name: RunChange, done: string): Promise<Run> {
  const endReason = name === 'drop' || name === 'cancel' ? { endReason: 'requested' } : {};
  if (!(await changeRun(tx, run.id, name, endReason))) throw refusal(run.id, run.status, done);
  await insertAudit(tx, scope, { tenantId: run.tenantId, action: `run.${name}`, objectId: run.id });
  return fetchRun(tx, run.id);
}

const refusal = (runId: RunId, status: RunStatus, done: string): PenstockError =>
  new PenstockError('RUN_STATE', `run ${runId} is ${status}, so it cannot be ${done}`, { meta: { status } });
