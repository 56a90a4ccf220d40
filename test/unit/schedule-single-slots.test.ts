import { describe, expect, test } from '@jest/globals';
import { dueTimesOf } from '../../src/domain/due-time.ts';
import type { SyncId } from '../../src/domain/ids.ts';
import type { Schedule } from '../../src/domain/schedule-spec.ts';
import {
  isRunSlot,
  type SettleInput,
  type Settlement,
  settleSlots,
  type SlotTerms,
} from '../../src/domain/settle-slots.ts';

const minuteMs = 60_000;
const noon = Date.UTC(2026, 5, 1, 12);
const at = (minutes: number): number => noon + minutes * minuteMs;
const syncId = 'syn_0198c5a4-7a7a-7000-8000-000000000000' as SyncId;
const asWritten: SlotTerms = { moved: null, skippedMs: null, runsLeft: null };

const settleAll = (changes: Partial<SettleInput>): Settlement =>
  settleSlots({
    syncId,
    schedule: { cron: '*/15 * * * *', timezone: 'UTC' },
    terms: asWritten,
    nextNominalMs: noon,
    nowMs: noon + 40,
    catchUp: { windowMs: 60 * minuteMs, policy: 'one' },
    overlap: 'skip',
    openRuns: { queued: 0, atWork: 0 },
    pauses: [],
    ...changes,
  });

function settle(changes: Partial<SettleInput>) {
  const { slots, ...next } = settleAll(changes);
  return { ...next, slots: slots.filter((slot) => !isRunSlot(slot)), run: slots.find(isRunSlot) ?? null };
}

describe('single slots', () => {
  const moved = { nominalMs: noon, dueMs: at(10) };

  test('a slot that was to be skipped is recorded and does not run', () => {
    expect(settle({ terms: { ...asWritten, skippedMs: noon } })).toMatchObject({
      slots: [{ fromMs: noon, toMs: noon, outcome: 'skipped_on_request' }],
      run: null,
      nextNominalMs: at(15),
    });
    expect(settle({ terms: { ...asWritten, skippedMs: at(15) }, nowMs: at(30) })).toMatchObject({
      slots: [
        { fromMs: noon, toMs: noon, outcome: 'coalesced' },
        { fromMs: at(15), toMs: at(15), outcome: 'skipped_on_request' },
      ],
      run: { nominalMs: at(30) },
    });
  });

  test('a slot that was moved waits for its time, and keeps its nominal time', () => {
    const terms = { ...asWritten, moved };
    expect(settle({ terms, nowMs: at(10) - 1 })).toEqual({
      slots: [],
      run: null,
      nextNominalMs: noon,
      nextDueMs: at(10),
    });
    expect(settle({ terms, nowMs: at(10) })).toMatchObject({
      run: { nominalMs: noon, dueMs: at(10) },
      nextNominalMs: at(15),
    });
  });

  test('the catch-up window of a moved slot begins at the time it was moved to', () => {
    const late = { terms: { ...asWritten, moved }, catchUp: { windowMs: 0, policy: 'one' } as const };
    expect(settle({ ...late, nowMs: at(10) + 10_000 }).run).toMatchObject({ nominalMs: noon });
    expect(settle({ ...late, nowMs: at(10) + 10_001 }).slots).toMatchObject([{ outcome: 'missed' }]);
  });

  test('with its last run a schedule is over', () => {
    expect(settle({ terms: { ...asWritten, runsLeft: 2 }, nowMs: at(1) }).nextNominalMs).toBe(at(15));
    expect(settle({ terms: { ...asWritten, runsLeft: 1 }, nowMs: at(1) })).toMatchObject({
      run: { nominalMs: noon },
      nextNominalMs: null,
      nextDueMs: null,
    });
    const all = { policy: 'all', windowMs: 24 * 60 * minuteMs } as const;
    const settled = settleAll({
      terms: { ...asWritten, runsLeft: 2 },
      catchUp: all,
      overlap: 'buffer_all',
      nowMs: at(60),
    });
    expect(settled.slots).toEqual([
      { nominalMs: noon, dueMs: noon },
      { nominalMs: at(15), dueMs: at(15) },
    ]);
    expect(settled.nextNominalMs).toBeNull();
  });
});

describe('jitter', () => {
  const dueOf = (jitter: string, id = syncId) => dueTimesOf(id, { every: '15m', jitter }, null);

  test('delays each slot by a part of it that is always the same, and another for each slot and sync', () => {
    const slots = Array.from({ length: 200 }, (_, n) => at(15 * n));
    const delays = slots.map((ms) => dueOf('10m')(ms) - ms);
    expect(slots.map((ms) => dueOf('10m')(ms) - ms)).toEqual(delays);
    expect(new Set(delays).size).toBeGreaterThan(190);
    expect(Math.min(...delays)).toBeLessThan(minuteMs);
    expect(Math.max(...delays)).toBeGreaterThan(9 * minuteMs);
    expect(Math.max(...delays)).toBeLessThan(10 * minuteMs);
    const other = 'syn_0198c5a4-7a7a-7000-8000-000000000001' as SyncId;
    expect(slots.filter((ms) => dueOf('10m', other)(ms) === dueOf('10m')(ms)).length).toBeLessThan(10);
  });

  test('never reaches the next slot', () => {
    const jittered = dueOf('1d');
    for (let n = 0; n < 200; n++) {
      const dueMs = jittered(at(15 * n));
      expect(dueMs).toBeGreaterThanOrEqual(at(15 * n));
      expect(dueMs).toBeLessThan(at(15 * (n + 1)));
    }
  });

  test('a slot is not due before its jitter has passed, and its window begins with the end of the jitter', () => {
    const schedule: Schedule = { every: '15m', jitter: '10m' };
    const dueMs = dueTimesOf(syncId, schedule, null)(noon);
    expect(dueMs).toBeGreaterThan(noon);
    const window = { windowMs: 0, policy: 'one' } as const;
    expect(settle({ schedule, nowMs: dueMs - 1 })).toMatchObject({ slots: [], run: null, nextDueMs: dueMs });
    expect(settle({ schedule, nowMs: dueMs, catchUp: window }).run).toEqual({ nominalMs: noon, dueMs });
  });
});
