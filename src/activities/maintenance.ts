/**
 * The activities of our own maintenance. A stretch ends after a while or when the process is told to end, and says where the
 * next one begins; one that dies is taken up where its last heartbeat was. A destination that does not answer is counted,
 * and waits for the next time.
 */
import { Context } from '@temporalio/activity';
import { codeOf } from '../domain/errors.ts';
import type { ConnectionId } from '../domain/ids.ts';
import {
  addTally,
  mostBroken,
  type BrokenInvariant,
  type Findings,
  type Stretch,
  type Tally,
} from '../domain/maintenance.ts';
import type { Destination } from '../ports/destination.ts';
import type { MaintenanceStore } from '../ports/maintenance-store.ts';
import type { RunStarter } from '../ports/run-starter.ts';
import type { IndexRepair } from '../ports/schedule-index.ts';
import type { ActivityDeps } from './deps.ts';
import { beat } from './heartbeat.ts';
import type { From, MaintenanceActivities } from './maintenance-contract.ts';
import { toFailure } from './to-failure.ts';

export interface MaintenanceDeps extends Pick<ActivityDeps, 'openDestination' | 'drain' | 'logger'> {
  store: MaintenanceStore;
  index: Pick<IndexRepair, 'fetchPlaces'>;
  starter: Pick<RunStarter, 'describe'>;
  /** How long a stretch goes on. Default 20 s. */
  stretchMs?: number;
  /** How long a destination may take in one step. Default 60 s. */
  destinationMs?: number;
}

export function createMaintenanceActivities(deps: MaintenanceDeps): MaintenanceActivities {
  const { store, logger } = deps;
  return {
    forgetLogs: () => inStretch(deps, {}, () => store.forgetLogs()),
    forgetRuns: (from) => inStretch(deps, from, (after) => store.forgetRuns(after)),
    forgetLoads: (from) => inStretch(deps, from, eachDestination(deps, forgetLoads)),
    dropOrphans: (from) => inStretch(deps, from, eachDestination(deps, dropOrphans)),
    auditControl: () => inStretch(deps, {}, () => auditControl(deps)),
    auditDestinations: (from) => inStretch(deps, from, eachDestination(deps, auditDestination)),
    noteEnd: async ({ job, tally, broken }) => {
      for (const found of broken) logger.error({ ...found }, 'audit: an invariant is broken');
      await store.noteEnd(job, tally, broken);
    },
  };
}

type Step = (after: string) => Promise<Stretch>;

/** Takes steps until nothing is left, the time is over, or the process is told to end. */
async function inStretch(
  { drain, stretchMs = 20_000 }: MaintenanceDeps,
  { after = '' }: From,
  step: Step,
): Promise<Stretch> {
  const context = Context.current();
  const died = context.info.heartbeatDetails as string | undefined;
  let at = died ?? after;
  let tally: Tally = {};
  const broken: BrokenInvariant[] = [];
  const stopBeating = beat(context, () => at);
  const endMs = performance.now() + stretchMs;
  try {
    for (;;) {
      const done = await step(at);
      tally = addTally(tally, done.tally);
      broken.push(...(done.broken ?? []));
      const found = { tally, ...(broken.length > 0 && { broken: broken.slice(0, mostBroken) }) };
      if (done.next === undefined) return found;
      at = done.next;
      context.heartbeat(at);
      context.cancellationSignal.throwIfAborted();
      if (drain.aborted || performance.now() >= endMs) return { ...found, next: at };
    }
  } catch (error) {
    throw context.cancellationSignal.aborted ? context.cancellationSignal.reason : toFailure(error);
  } finally {
    stopBeating();
  }
}

interface Reached {
  destination: Destination;
  id: ConnectionId;
  store: MaintenanceStore;
  /** Aborts when the step should end; connections to the destination end with it. */
  signal: AbortSignal;
}

type DestinationWork = (reached: Reached) => Promise<Findings>;

/** A destination a step, in order of their ids. What fails there, or takes too long, concerns it alone. */
function eachDestination(deps: MaintenanceDeps, work: DestinationWork): Step {
  const { store, drain, logger } = deps;
  let page: ConnectionId[] = [];
  return async (after) => {
    page = page.filter((id) => id > after);
    if (page.length === 0) page = await store.listDestinations(after);
    const [id] = page;
    if (id === undefined) return { tally: {} };
    try {
      const { tally, ...found } = await atDestination(deps, id, work);
      return { ...found, tally: addTally({ destinations: 1 }, tally), next: id };
    } catch (error) {
      Context.current().cancellationSignal.throwIfAborted();
      // We have ended it ourselves: whoever goes on begins with it again.
      if (drain.aborted) return { tally: {}, next: after };
      logger.warn(
        { destination: id, code: codeOf(error) },
        'maintenance: a destination waits for the next time',
      );
      return { tally: { unreachable: 1 }, next: id };
    }
  };
}

/** Does the work at one destination, if there is anything of ours. */
async function atDestination(
  { store, openDestination, drain, destinationMs = 60_000 }: MaintenanceDeps,
  id: ConnectionId,
  work: DestinationWork,
): Promise<Findings> {
  // Not AbortSignal.timeout(): what `any` alone refers to may be collected before its time comes.
  const overdue = new AbortController();
  const timer = setTimeout(() => overdue.abort(new Error('the destination took too long')), destinationMs);
  const signal = AbortSignal.any([Context.current().cancellationSignal, drain, overdue.signal]);
  try {
    const destination = openDestination({ ...(await store.fetchAccess(id)), signal });
    try {
      return (await destination.wasUsed()) ? await work({ destination, id, store, signal }) : { tally: {} };
    } finally {
      await destination.close();
    }
  } finally {
    clearTimeout(timer);
  }
}

/** So that one destination with a long past, or one that answers for ever, leaves the others their turn. */
const mostRounds = 50;

async function forgetLoads({ destination, signal }: Reached): Promise<Findings> {
  let forgotten = 0;
  for (let round = 0; round < mostRounds; round += 1) {
    signal.throwIfAborted();
    const some = await destination.cleanUp();
    if (some === 0) break;
    forgotten += some;
  }
  return { tally: { forgotten } };
}

async function dropOrphans(reached: Reached): Promise<Findings> {
  const runs = await closeEnded(reached);
  return { tally: { runs, ...(await reached.destination.dropOrphans()) } };
}

/** A run that is final in the control database and not here was never told to be: nothing of it may commit any more. */
async function closeEnded({ destination, store, signal }: Reached): Promise<number> {
  let closed = 0;
  let after = '';
  for (let round = 0; round < mostRounds; round += 1) {
    const open = await destination.listOpenRuns(after);
    const last = open.at(-1);
    if (last === undefined || !(last > after)) break;
    for (const run of await store.listEnded(open)) {
      signal.throwIfAborted();
      await destination.closeRun(run);
      closed += 1;
    }
    signal.throwIfAborted();
    after = last;
  }
  return closed;
}

async function auditDestination({ destination, id, store }: Reached): Promise<Findings> {
  const found = await destination.audit(await store.listReceipts(id));
  return { tally: {}, broken: believable(found).map((one) => ({ ...one, destination: id })) };
}

/** The server is the tenant's, and may say anything: a few that look like what they should, so that others keep their place. */
const believable = (found: readonly BrokenInvariant[]): BrokenInvariant[] =>
  found
    .filter(
      ({ object }) => typeof object === 'string' && /^(run|lod)_[0-9a-f-]{36}(\/\d{1,10})?$/.test(object),
    )
    .slice(0, 5);

async function auditControl({ store, index, starter }: MaintenanceDeps): Promise<Findings> {
  const broken: BrokenInvariant[] = [];
  for (const { runId, workflowId } of await store.listStill())
    if ((await starter.describe(workflowId)).state !== 'open')
      broken.push({ invariant: 'run_has_workflow', object: runId });
  for (const runId of await store.listPlaceless(await index.fetchPlaces()))
    broken.push({ invariant: 'place_has_run', object: runId });
  return { tally: {}, broken };
}
