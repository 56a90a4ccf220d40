/**
 * Settle: the only writer of slots and of a sync's next times. It turns the due times that have passed into slots and
 * queued runs, in the caller's transaction and with the caller's role.
 *
 *  1. A sync is judged under its row's lock, by the clock of this database, under the spec it has in this transaction.
 *  2. Every due time ends in exactly one slot; a slot that makes a run does so in the same statement.
 *  3. Whoever edits, pauses, resumes or deletes a sync settles it first, then changes it (an edit clears the next
 *     times) and settles it again: all judged at one instant, so an edit neither erases nor doubles a due time.
 *  4. Slots, runs and next times are all functions of the rows and the instant: doing it again changes nothing.
 */
import { codeOf } from '../domain/errors.ts';
import { runIdOf, workflowIdOf, type RunId, type SyncId } from '../domain/ids.ts';
import { dueTimesOf } from '../domain/due-time.ts';
import { readyScore, slackMsOf } from '../domain/priority.ts';
import { nextDue } from '../domain/schedule.ts';
import type { Schedule } from '../domain/schedule-spec.ts';
import {
  catchUpDeadline,
  isRunSlot,
  settleSlots,
  type RunSlot,
  type RunlessSlots,
} from '../domain/settle-slots.ts';
import { parseDurationMs } from '../domain/duration-spec.ts';
import type { RunOffer } from '../ports/schedule-index.ts';
import type { SettledSync } from '../ports/schedule-store.ts';
import {
  cancelOverlapped,
  fetchSyncFacts,
  lockSyncs,
  saveJudgement,
  type Judgement,
  type SlotRow,
  type SyncFacts,
} from './slots.ts';
import type { Tx } from './transaction.ts';
import { deleteUpstreamEnds } from './upstream-ends.ts';

/**
 * Settles syncs, waiting for whoever holds their rows, until nothing of the past is left. Ids that are not there (for this
 * tenant) are left out.
 */
export async function settle(tx: Tx, syncIds: readonly SyncId[]): Promise<SettledSync[]> {
  const settled = new Map<SyncId, SettledSync>();
  let left = await lockSyncs(tx, syncIds, { wait: true });
  while (left.length > 0) {
    for (const sync of await settleLocked(tx, left))
      settled.set(sync.syncId, joined(settled.get(sync.syncId), sync));
    left = left.filter((syncId) => isLeft(settled.get(syncId)!));
  }
  return [...settled.values()];
}

/** Some of what is due was not settled. */
const isLeft = ({ nextDueAtMs, settledAtMs }: SettledSync): boolean =>
  nextDueAtMs !== null && nextDueAtMs <= settledAtMs;

const joined = (before: SettledSync | undefined, sync: SettledSync): SettledSync =>
  before
    ? {
        ...sync,
        wasDue: true,
        offered: [...before.offered, ...sync.offered],
        cancelled: [...before.cancelled, ...sync.cancelled],
      }
    : sync;

/**
 * Settles the syncs whose rows nobody holds, so that one locked row never holds a batch. One that has much to catch up
 * with is done in part, and due again at once.
 */
export async function settleUnlocked(tx: Tx, syncIds: readonly SyncId[]): Promise<SettledSync[]> {
  return settleLocked(tx, await lockSyncs(tx, syncIds, { wait: false }));
}

async function settleLocked(tx: Tx, syncIds: readonly SyncId[]): Promise<SettledSync[]> {
  if (syncIds.length === 0) return [];
  const judgement: Judgement = { advances: [], slots: [], runs: [], overlapped: [] };
  const facts = await fetchSyncFacts(tx, syncIds);
  const settled = facts.map((sync) => judge(sync, judgement));
  if (judgement.advances.length > 0) await saveJudgement(tx, judgement);
  const cancelled = await cancelOverlapped(tx, judgement.overlapped);
  await deleteUpstreamEnds(tx, endsJudged(facts, settled));
  return settled.map((sync) => ({ ...sync, cancelled: cancelled.get(sync.syncId) ?? [] }));
}

/** The ends of runs that the syncs come after, as far as these were settled. */
const endsJudged = (facts: readonly SyncFacts[], settled: readonly SettledSync[]) =>
  facts.flatMap(({ syncId, endsMs }, n) => {
    const leftMs = settled[n]!.nextDueAtMs ?? Infinity;
    return endsMs.filter((ms) => ms < leftMs).map((nominalMs) => ({ syncId, nominalMs }));
  });

/** Adds what must be written to the judgement. A spec that throws breaks its own sync and no other. */
function judge(sync: SyncFacts, judgement: Judgement): SettledSync {
  if (sync.status !== 'active') return settledAs(sync, null, []);
  try {
    if ('after' in sync.spec.schedule) return follow(sync, judgement);
    return sync.nextNominalMs === null
      ? plan(sync, judgement)
      : advance(sync, { schedule: sync.spec.schedule, nextNominalMs: sync.nextNominalMs }, judgement);
  } catch (error) {
    const brokenReason = `${codeOf(error)}: ${error instanceof Error ? error.message : String(error)}`;
    const { syncId, scheduledRuns } = sync;
    judgement.advances.push({ syncId, nextNominalMs: null, nextDueMs: null, scheduledRuns, brokenReason });
    return settledAs(sync, null, []);
  }
}

/** A sync that is new, edited or done: its next times as of now. */
function plan(sync: SyncFacts, judgement: Judgement): SettledSync {
  const { syncId, moved, scheduledRuns } = sync;
  const { schedule } = sync.spec;
  const nextNominalMs = runsLeftOf(sync) === 0 ? null : nextDue(schedule, sync.nowMs);
  if (nextNominalMs === null) return settledAs(sync, null, []);
  const nextDueMs = dueTimesOf(syncId, schedule, moved)(nextNominalMs);
  judgement.advances.push({ syncId, nextNominalMs, nextDueMs, scheduledRuns, brokenReason: null });
  return settledAs(sync, nextDueMs, []);
}

/** Runs that the schedule may yet make; null: any number. */
function runsLeftOf({ spec: { schedule }, scheduledRuns }: SyncFacts): number | null {
  const maxRuns = 'maxRuns' in schedule ? schedule.maxRuns : undefined;
  return maxRuns === undefined ? null : Math.max(0, maxRuns - scheduledRuns);
}

/** The due times of a sync that comes after another are the ends of the other's runs, one by one. */
function follow(sync: SyncFacts, judgement: Judgement): SettledSync {
  const [nextNominalMs] = sync.endsMs;
  if (nextNominalMs === undefined) return { ...settledAs(sync, null, []), wasDue: false };
  const schedule = { anyOf: sync.endsMs.map((ms) => ({ at: new Date(ms).toISOString() })) };
  return advance(sync, { schedule, nextNominalMs }, judgement);
}

/** What names the sync's due times, and the first of them that has no slot. */
interface DueTimes {
  readonly schedule: Schedule;
  readonly nextNominalMs: number;
}

function advance(sync: SyncFacts, times: DueTimes, judgement: Judgement): SettledSync {
  const { catchUp, overlap } = sync.spec;
  const { syncId, openRuns, pauses, nowMs, moved, skippedMs } = sync;
  const windowMs = parseDurationMs(catchUp.window)!;
  const { slots, nextNominalMs, nextDueMs } = settleSlots({
    syncId,
    ...times,
    terms: { moved, skippedMs, runsLeft: runsLeftOf(sync) },
    overlap,
    nowMs,
    openRuns,
    pauses,
    catchUp: { windowMs, policy: catchUp.policy },
  });
  if (slots.length === 0 && nextDueMs === sync.nextDueMs)
    return { ...settledAs(sync, nextDueMs, []), wasDue: false };
  const scheduledRuns = sync.scheduledRuns + slots.filter(isRunSlot).length;
  const next = isFollower(sync) ? { nextNominalMs: null, nextDueMs: null } : { nextNominalMs, nextDueMs };
  judgement.advances.push({ syncId, ...next, scheduledRuns, brokenReason: null });
  const first = slots.find(isRunSlot);
  const isBehind = openRuns.queued + openRuns.atWork > 0;
  if (first && overlap === 'cancel_other' && openRuns.atWork > 0) judgement.overlapped.push(syncId);
  const offered: RunOffer[] = [];
  for (const [n, slot] of slots.entries())
    if (isRunSlot(slot)) {
      const runId = queue(sync, slot, { windowMs, isBehind: isBehind || slot !== first }, judgement);
      // Also when a run is open: it may end before this is committed.
      if (slot === first) offered.push(offerOf(sync, slot, runId));
    } else if (isFollower(sync)) judgement.slots.push(...rowOfEach(sync, slot));
    else judgement.slots.push(runlessRow(sync, slot, n === 0));
  return settledAs(sync, nextDueMs, offered);
}

/** The first row continues the sync's newest one when that has the same outcome under the same version. */
function runlessRow(sync: SyncFacts, { fromMs, toMs, outcome }: RunlessSlots, isFirst: boolean): SlotRow {
  const { syncId, tenantId, version, lastRunless: last } = sync;
  const continues = isFirst && last?.outcome === outcome && last.version === version;
  return { syncId, tenantId, version, runId: null, outcome, fromMs: continues ? last.fromMs : fromMs, toMs };
}

/** No schedule could say again which times lay between the first and the last, so each is a row. */
const rowOfEach = (sync: SyncFacts, { fromMs, toMs, outcome }: RunlessSlots): SlotRow[] =>
  sync.endsMs
    .filter((ms) => ms >= fromMs && ms <= toMs)
    .map((ms) => runlessRow(sync, { fromMs: ms, toMs: ms, outcome }, false));

const isFollower = ({ spec }: SyncFacts): boolean => 'after' in spec.schedule;

/** A run and its slot. One that is behind others waits until they have ended, and is not offered before. */
function queue(
  sync: SyncFacts,
  { nominalMs, dueMs }: RunSlot,
  { windowMs, isBehind }: { windowMs: number; isBehind: boolean },
  judgement: Judgement,
): RunId {
  const { syncId, tenantId, version, connectionId, nowMs: queuedMs } = sync;
  const origin = isFollower(sync) ? 'after' : 'schedule';
  const runId = runIdOf(syncId, origin, new Date(nominalMs).toISOString());
  judgement.runs.push({
    runId,
    origin,
    tenantId,
    syncId,
    version,
    connectionId,
    nominalMs,
    dueMs,
    queuedMs,
    priority: sync.spec.priority,
    workflowId: workflowIdOf(sync.tenantName, sync.syncName, runId),
    startBeforeMs: catchUpDeadline(dueMs, windowMs),
    waitingReason: isBehind ? 'previous_run' : null,
  });
  judgement.slots.push({
    syncId,
    tenantId,
    version,
    runId,
    outcome: null,
    fromMs: nominalMs,
    toMs: nominalMs,
  });
  return runId;
}

function offerOf(sync: SyncFacts, { dueMs }: RunSlot, runId: RunId): RunOffer {
  const { syncId, tenantId, connectionId, nowMs: queuedAtMs } = sync;
  const score = readyScore({ dueMs, queuedAtMs, priority: sync.spec.priority }, slackMsOf[sync.order]);
  return { runId, tenantId, syncId, connectionId, score };
}

const settledAs = (
  sync: SyncFacts,
  nextDueAtMs: number | null,
  offered: readonly RunOffer[],
): SettledSync => ({
  syncId: sync.syncId,
  version: sync.version,
  nextDueAtMs,
  wasDue: true,
  follows: isFollower(sync),
  settledAtMs: sync.nowMs,
  offered,
  cancelled: [],
});
