import { describe, expect, test } from '@jest/globals';
import type { SyncId } from '../../src/domain/ids.ts';
import {
  type RunSlot,
  type RunlessSlots,
  type SettleInput,
  type SlotTerms,
  type Settlement,
  catchUpDeadline,
  isRunSlot,
  mostBuffered,
  mostRunsAtOnce,
  settleSlots,
} from '../../src/domain/settle-slots.ts';
import type { Schedule } from '../../src/domain/schedule-spec.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const noon = Date.UTC(2026, 5, 1, 12);
const quarterly: Schedule = { cron: '*/15 * * * *', timezone: 'UTC' };

const none = { queued: 0, atWork: 0 };
const oneAtWork = { queued: 0, atWork: 1 };

const syncId = 'syn_0198c5a4-7a7a-7000-8000-000000000000' as SyncId;
const asWritten: SlotTerms = { moved: null, skippedMs: null, runsLeft: null };

const settleAll = (changes: Partial<SettleInput>): Settlement =>
  settleSlots({
    syncId,
    schedule: quarterly,
    terms: asWritten,
    nextNominalMs: noon,
    nowMs: noon + 40,
    catchUp: { windowMs: hourMs, policy: 'one' },
    overlap: 'skip',
    openRuns: none,
    pauses: [],
    ...changes,
  });

const isRunless = (slot: RunlessSlots | RunSlot): slot is RunlessSlots => !isRunSlot(slot);

/** Where at most one of the slots makes a run: that one apart. */
function settle(changes: Partial<SettleInput>) {
  const { slots, ...next } = settleAll(changes);
  return { ...next, slots: slots.filter(isRunless), run: slots.find(isRunSlot) ?? null };
}

const at = (minutes: number): number => noon + minutes * minuteMs;

describe('settling the slots of a sync', () => {
  test('a slot that is not due yet is left alone', () => {
    expect(settle({ nowMs: noon - 1 })).toEqual({
      slots: [],
      run: null,
      nextNominalMs: noon,
      nextDueMs: noon,
    });
  });

  test('a slot is due at its very millisecond', () => {
    expect(settle({ nowMs: noon }).run).toEqual({ nominalMs: noon, dueMs: noon });
  });

  test('a sync without a next time has nothing to settle', () => {
    expect(settle({ nextNominalMs: null })).toEqual({
      slots: [],
      run: null,
      nextNominalMs: null,
      nextDueMs: null,
    });
  });

  test('a due slot makes a run and the next one is its successor, however late it is settled', () => {
    expect(settle({})).toEqual({
      slots: [],
      run: { nominalMs: noon, dueMs: noon },
      nextNominalMs: at(15),
      nextDueMs: at(15),
    });
  });

  test('after a short outage the newest slot runs and the earlier ones are coalesced into one row', () => {
    expect(settle({ nowMs: at(50) })).toEqual({
      slots: [{ fromMs: noon, toMs: at(30), outcome: 'coalesced' }],
      run: { nominalMs: at(45), dueMs: at(45) },
      nextNominalMs: at(60),
      nextDueMs: at(60),
    });
  });

  test('slots older than the catch-up window are missed', () => {
    expect(settle({ nowMs: at(125) })).toEqual({
      slots: [
        { fromMs: noon, toMs: at(60), outcome: 'missed' },
        { fromMs: at(75), toMs: at(105), outcome: 'coalesced' },
      ],
      run: { nominalMs: at(120), dueMs: at(120) },
      nextNominalMs: at(135),
      nextDueMs: at(135),
    });
  });

  test('a daily slot found at the last moment of its window runs, after it it is missed', () => {
    const schedule: Schedule = { cron: '0 12 * * *', timezone: 'UTC' };
    expect(settle({ schedule, nowMs: noon + hourMs }).run?.nominalMs).toBe(noon);
    expect(settle({ schedule, nowMs: noon + hourMs + 1 }).run).toBeNull();
    const settled = settle({ schedule, nowMs: noon + 5 * hourMs });
    expect(settled.slots).toEqual([{ fromMs: noon, toMs: noon, outcome: 'missed' }]);
    expect(settled.run).toBeNull();
  });

  test('a window of zero still lets a slot run that was found by the next sweep', () => {
    const catchUp = { windowMs: 0, policy: 'one' } as const;
    expect(settle({ catchUp, nowMs: noon + 5_000 }).run?.nominalMs).toBe(noon);
    expect(settle({ catchUp, nowMs: noon + 10_001 }).run).toBeNull();
    expect(catchUpDeadline(noon, 0)).toBe(noon + 10_000);
    expect(catchUpDeadline(noon, hourMs)).toBe(noon + hourMs);
  });

  test('with an open run every slot is skipped for overlap', () => {
    expect(settle({ openRuns: oneAtWork, nowMs: at(20) })).toMatchObject({
      slots: [{ fromMs: noon, toMs: at(15), outcome: 'skipped_overlap' }],
      run: null,
      nextNominalMs: at(30),
    });
  });

  test('a slot at the first moment of a pause is skipped, one at its end runs', () => {
    const pauses = [{ fromMs: at(15), untilMs: at(45) }];
    expect(settle({ pauses, nowMs: at(46) })).toMatchObject({
      slots: [
        { fromMs: noon, toMs: noon, outcome: 'coalesced' },
        { fromMs: at(15), toMs: at(30), outcome: 'skipped_paused' },
      ],
      run: { nominalMs: at(45) },
    });
  });

  test('a slot due before a pause began runs, and slots around its own are not merged across it', () => {
    const pauses = [
      { fromMs: noon, untilMs: at(10) },
      { fromMs: at(20), untilMs: null },
    ];
    expect(settle({ pauses, nowMs: at(50) })).toMatchObject({
      slots: [
        { fromMs: noon, toMs: noon, outcome: 'skipped_paused' },
        { fromMs: at(30), toMs: at(45), outcome: 'skipped_paused' },
      ],
      run: { nominalMs: at(15) },
    });
  });

  test('pauses of sync, tenant and all that overlap make one row', () => {
    const pauses = [
      { fromMs: at(20), untilMs: null },
      { fromMs: at(-60), untilMs: at(20) },
      { fromMs: at(5), untilMs: at(25) },
    ];
    expect(settle({ pauses, nowMs: at(31) }).slots).toEqual([
      { fromMs: noon, toMs: at(30), outcome: 'skipped_paused' },
    ]);
  });

  test('a paused slot stays skipped_paused when it is also older than the window', () => {
    expect(settle({ pauses: [{ fromMs: noon, untilMs: at(15) }], nowMs: at(100) }).slots[0]).toEqual({
      fromMs: noon,
      toMs: noon,
      outcome: 'skipped_paused',
    });
  });

  test('a year of missed one-second slots is two rows and a handful of questions', () => {
    const schedule: Schedule = { cron: '* * * * * *', timezone: 'Europe/Berlin', seconds: true };
    const nowMs = noon + 365 * 24 * hourMs + 500;
    expect(settle({ schedule, nowMs })).toEqual({
      slots: [
        { fromMs: noon, toMs: nowMs - 500 - hourMs, outcome: 'missed' },
        { fromMs: nowMs - 500 - hourMs + 1_000, toMs: nowMs - 1_500, outcome: 'coalesced' },
      ],
      run: { nominalMs: nowMs - 500, dueMs: nowMs - 500 },
      nextNominalMs: nowMs + 500,
      nextDueMs: nowMs + 500,
    });
  });

  test('a one-off runs once and is over', () => {
    const schedule: Schedule = { at: '2026-06-01T12:00:00Z' };
    expect(settle({ schedule })).toEqual({
      slots: [],
      run: { nominalMs: noon, dueMs: noon },
      nextNominalMs: null,
      nextDueMs: null,
    });
  });

  test('a next time that the schedule does not give is settled as it stands', () => {
    expect(settle({ nextNominalMs: at(7), nowMs: at(8) })).toMatchObject({
      run: { nominalMs: at(7) },
      nextNominalMs: at(15),
    });
  });
});

describe('catch-up', () => {
  test('all: each due time inside the window runs, in order, behind what is missed', () => {
    const catchUp = { windowMs: hourMs, policy: 'all' } as const;
    expect(settleAll({ catchUp, overlap: 'buffer_all', nowMs: at(95) })).toEqual({
      slots: [
        { fromMs: noon, toMs: at(30), outcome: 'missed' },
        ...[45, 60, 75, 90].map((minutes) => ({ nominalMs: at(minutes), dueMs: at(minutes) })),
      ],
      nextNominalMs: at(105),
      nextDueMs: at(105),
    });
  });

  test('all: a long outage of a busy sync is settled in parts, until as many runs are open as may be', () => {
    const schedule: Schedule = { every: '1s' };
    const catchUp = { windowMs: 24 * hourMs, policy: 'all' } as const;
    const nowMs = noon + 10 * hourMs;
    let queued = 0;
    let nextNominalMs: number | null = noon;
    const rows: RunlessSlots[] = [];
    for (; queued < mostBuffered; queued += mostRunsAtOnce) {
      const settled: Settlement = settleAll({
        schedule,
        catchUp,
        overlap: 'buffer_all',
        nowMs,
        nextNominalMs,
        openRuns: { queued, atWork: 0 },
      });
      expect(settled.slots.filter(isRunSlot)).toHaveLength(mostRunsAtOnce);
      nextNominalMs = settled.nextNominalMs;
      rows.push(...settled.slots.filter(isRunless));
    }
    expect(rows).toEqual([{ fromMs: noon + 1_000_000, toMs: nowMs, outcome: 'skipped_overlap' }]);
    expect(nextNominalMs).toBe(nowMs + 1_000);
  });

  test('none: what was not seen in time is missed, and what was seen a moment late runs', () => {
    const catchUp = { windowMs: hourMs, policy: 'none' } as const;
    expect(settle({ catchUp, nowMs: at(31) })).toMatchObject({
      slots: [{ fromMs: noon, toMs: at(30), outcome: 'missed' }],
      run: null,
    });
    expect(settle({ catchUp, nowMs: at(30) + 10_000 })).toMatchObject({
      slots: [{ fromMs: noon, toMs: at(15), outcome: 'missed' }],
      run: { nominalMs: at(30) },
    });
  });
});

describe('overlap', () => {
  test('buffer_one: one due time waits behind the open run, and those after it are skipped', () => {
    expect(settle({ overlap: 'buffer_one', openRuns: oneAtWork, nowMs: at(20) })).toMatchObject({
      slots: [{ fromMs: noon, toMs: noon, outcome: 'coalesced' }],
      run: { nominalMs: at(15) },
    });
    expect(
      settle({ overlap: 'buffer_one', openRuns: { queued: 1, atWork: 1 }, nowMs: at(20) }),
    ).toMatchObject({
      slots: [{ fromMs: noon, toMs: at(15), outcome: 'skipped_overlap' }],
      run: null,
    });
  });

  test('buffer_all: due times wait behind each other, up to a bound', () => {
    expect(settle({ overlap: 'buffer_all', openRuns: { queued: 6, atWork: 1 } }).run?.nominalMs).toBe(noon);
    expect(settle({ overlap: 'buffer_all', openRuns: { queued: mostBuffered, atWork: 0 } }).run).toBeNull();
  });
});

describe('overlap cancel_other', () => {
  test('a due time runs whatever is at work, but not when a run waits already', () => {
    expect(settle({ overlap: 'cancel_other', openRuns: oneAtWork, nowMs: at(20) })).toMatchObject({
      slots: [{ fromMs: noon, toMs: noon, outcome: 'coalesced' }],
      run: { nominalMs: at(15) },
    });
    expect(settle({ overlap: 'cancel_other', openRuns: { queued: 1, atWork: 1 } })).toMatchObject({
      slots: [{ fromMs: noon, toMs: noon, outcome: 'skipped_overlap' }],
      run: null,
    });
  });
});
