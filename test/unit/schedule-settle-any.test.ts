import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { dueTimesOf, jitterMsOf } from '../../src/domain/due-time.ts';
import type { SyncId } from '../../src/domain/ids.ts';
import type { Schedule } from '../../src/domain/schedule-spec.ts';
import { latestDue, nextDue, nextTimes } from '../../src/domain/schedule.ts';
import {
  isRunSlot,
  mostBuffered,
  mostRunsAtOnce,
  type SettleInput,
  type Settlement,
  settleSlots,
} from '../../src/domain/settle-slots.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const syncId = 'syn_0198c5a4-7a7a-7000-8000-000000000000' as SyncId;
const quarterly: Schedule = { cron: '*/15 * * * *', timezone: 'UTC' };

const schedules: readonly Schedule[] = [
  quarterly,
  { cron: '30 * * * *', timezone: 'Australia/Lord_Howe' },
  { cron: '*/20 1-3 * * *', timezone: 'Europe/Berlin' },
  { every: '7m' },
  { every: '45m', startAt: '2026-03-28T22:10:00Z' },
  { at: '2026-03-29T01:30:00Z' },
  { anyOf: [{ every: '50m' }, { cron: '10 * * * *', timezone: 'UTC', exclude: { cron: ['* 22 * * *'] } }] },
];
const start = Date.UTC(2026, 2, 28, 20);
const momentArb = fc.integer({ min: -120, max: 900 }).map((minutes) => start + minutes * minuteMs);
const pauseArb = fc
  .tuple(momentArb, fc.option(fc.integer({ min: 0, max: 300 })))
  .map(([fromMs, minutes]) => ({ fromMs, untilMs: minutes === null ? null : fromMs + minutes * minuteMs }));
const inputArb: fc.Arbitrary<SettleInput> = fc
  .record({
    schedule: fc.constantFrom(...schedules),
    lateMs: fc.integer({ min: 0, max: 15 * hourMs }),
    windowMs: fc.constantFrom(0, 10 * minuteMs, hourMs, 24 * hourMs),
    policy: fc.constantFrom('one' as const, 'all' as const, 'none' as const),
    overlap: fc.constantFrom(
      'skip' as const,
      'buffer_one' as const,
      'buffer_all' as const,
      'cancel_other' as const,
    ),
    openRuns: fc.record({
      queued: fc.constantFrom(0, 1, 2, mostBuffered - 2, mostBuffered + 5),
      atWork: fc.constantFrom(0, 1, 2),
    }),
    pauses: fc.array(pauseArb, { maxLength: 4 }),
    jitter: fc.constantFrom(undefined, '5m', '90m'),
    skipped: fc.option(fc.nat(5)),
    movedByMs: fc.option(fc.nat(40 * minuteMs)),
    runsLeft: fc.option(fc.integer({ min: 1, max: 150 })),
  })
  .map(({ lateMs, windowMs, policy, jitter, skipped, movedByMs, runsLeft, ...rest }) => ({
    ...rest,
    ...withSingleSlots(rest.schedule, start + lateMs, { jitter, skipped, movedByMs, runsLeft }),
    nextNominalMs: nextDue(rest.schedule, start),
    nowMs: start + lateMs,
    catchUp: { windowMs, policy },
  }));

interface SingleSlots {
  jitter: string | undefined;
  skipped: number | null;
  movedByMs: number | null;
  runsLeft: number | null;
}

/** Skips the n-th slot and moves the newest one that has a time, up to the next. */
function withSingleSlots(
  plain: Schedule,
  nowMs: number,
  { jitter, skipped, movedByMs, runsLeft }: SingleSlots,
) {
  const schedule = jitter === undefined || 'at' in plain || 'manual' in plain ? plain : { ...plain, jitter };
  const newestMs = latestDue(plain, nowMs);
  const gapMs = newestMs === null ? 0 : (nextDue(plain, newestMs) ?? Infinity) - newestMs;
  const moved =
    movedByMs === null || newestMs === null
      ? null
      : { nominalMs: newestMs, dueMs: newestMs + Math.min(movedByMs, gapMs - 1) };
  const skippedMs = skipped === null ? null : (nextTimes(plain, start, skipped + 1).at(-1) ?? null);
  return { syncId, schedule, terms: { moved, skippedMs, runsLeft } };
}

/** Judges slot by slot, as the rules are written. */
function settleOneByOne(input: SettleInput): Map<number, string> {
  const { catchUp, overlap, nowMs, terms } = input;
  const dueOf = dueTimesOf(syncId, input.schedule, terms.moved);
  const outcomes = new Map<number, string>();
  const windowMs = catchUp.policy === 'none' ? 0 : catchUp.windowMs;
  for (
    let ms = nextDue(input.schedule, start);
    ms !== null && ms <= nowMs;
    ms = nextDue(input.schedule, ms)
  ) {
    const slot = ms;
    if (dueOf(slot) > nowMs) break;
    const paused = input.pauses.some((p) => slot >= p.fromMs && (p.untilMs === null || slot < p.untilMs));
    const fromMs = terms.moved?.nominalMs === slot ? terms.moved.dueMs : slot + jitterMsOf(input.schedule);
    const late = nowMs - fromMs > Math.max(windowMs, 10_000);
    const skipped = slot === terms.skippedMs;
    outcomes.set(
      slot,
      skipped ? 'skipped_on_request' : paused ? 'skipped_paused' : late ? 'missed' : 'may_run',
    );
  }
  const ready = [...outcomes].filter(([, outcome]) => outcome === 'may_run').map(([ms]) => ms);
  const { queued, atWork } = input.openRuns;
  let made = 0;
  for (const ms of ready) {
    const before = catchUp.policy === 'all' ? made : 0;
    const isFull = {
      skip: queued + atWork + before >= 1,
      buffer_one: queued + atWork + before >= 2,
      buffer_all: queued + atWork + before >= mostBuffered,
      cancel_other: queued + before > 0,
    }[overlap];
    const runs = !isFull && (catchUp.policy === 'all' || ms === ready.at(-1));
    outcomes.set(ms, isFull ? 'skipped_overlap' : runs ? 'run' : 'coalesced');
    if (runs) made += 1;
    if (runs && made === terms.runsLeft)
      for (const later of outcomes.keys()) if (later > ms) outcomes.delete(later);
    if (made === terms.runsLeft) break;
  }
  return outcomes;
}

/** Settles until nothing of the past is left, the runs that were made being open. */
function settleFully(input: SettleInput): Settlement {
  const slots: Settlement['slots'][number][] = [];
  let { nextNominalMs, openRuns, terms } = input;
  let nextDueMs: number | null;
  do {
    const settled: Settlement = settleSlots({ ...input, nextNominalMs, openRuns, terms });
    nextDueMs = settled.nextDueMs;
    const runs = settled.slots.filter(isRunSlot).length;
    expect(runs).toBeLessThanOrEqual(mostRunsAtOnce);
    openRuns = { ...openRuns, queued: openRuns.queued + runs };
    if (terms.runsLeft !== null) terms = { ...terms, runsLeft: terms.runsLeft - runs };
    slots.push(...settled.slots);
    nextNominalMs = settled.nextNominalMs;
  } while (nextDueMs !== null && nextDueMs <= input.nowMs);
  return { slots, nextNominalMs, nextDueMs };
}

function slotBySlot(input: SettleInput, slots: Settlement['slots']): [number, string][] {
  return slots.flatMap((row): [number, string][] => {
    if (isRunSlot(row)) return [[row.nominalMs, 'run']];
    expect(latestDue(input.schedule, row.toMs)).toBe(row.toMs);
    const times: number[] = [];
    for (let ms: number | null = row.fromMs; ms !== null && ms <= row.toMs; ms = nextDue(input.schedule, ms))
      times.push(ms);
    return times.map((ms) => [ms, row.outcome]);
  });
}

describe('for any outage, pauses, window and policies', () => {
  test('each due time ends in exactly one slot, in order, with the outcome that judging them one by one gives', () => {
    fc.assert(
      fc.property(inputArb, (input) => {
        const { slots, nextNominalMs } = settleFully(input);
        const outcomes = settleOneByOne(input);
        expect(slotBySlot(input, slots)).toEqual([...outcomes]);
        const isOver = slots.filter(isRunSlot).length === input.terms.runsLeft;
        expect(nextNominalMs).toBe(
          isOver ? null : nextDue(input.schedule, [...outcomes.keys()].at(-1) ?? start),
        );
      }),
    );
  });

  test('slots without a run that follow each other share a row if their outcome is the same', () => {
    fc.assert(
      fc.property(inputArb, (input) => {
        const { slots } = settleSlots(input);
        for (const [i, row] of slots.entries()) {
          const before = slots[i - 1];
          if (before && !isRunSlot(before) && !isRunSlot(row)) expect(row.outcome).not.toBe(before.outcome);
        }
      }),
    );
  });

  test('settling again at the same time changes nothing', () => {
    fc.assert(
      fc.property(inputArb, (input) => {
        const { nextNominalMs, nextDueMs } = settleFully(input);
        const again = settleSlots({ ...input, nextNominalMs });
        expect(again).toEqual({ slots: [], nextNominalMs, nextDueMs });
      }),
    );
  });
});
