import { expect, test } from '@jest/globals';
import { cadenceOf, type PastSlots } from '../../src/domain/cadence.ts';
import type { SlotOutcome } from '../../src/domain/run-states.ts';
import type { Schedule } from '../../src/domain/schedule-spec.ts';

const minuteMs = 60_000;
const schedule: Schedule = { every: '1m' };
const slots = (from: number, to: number, outcome: SlotOutcome | null, succeeded = false): PastSlots => ({
  fromMs: from * minuteMs,
  toMs: to * minuteMs,
  schedule,
  outcome,
  succeeded,
});

test('due times are counted by what became of them, however many a row stands for', () => {
  const past = [
    slots(20, 20, null),
    slots(16, 19, 'skipped_overlap'),
    slots(15, 15, 'started'),
    slots(11, 14, 'skipped_overlap'),
    slots(10, 10, 'started', true),
  ];
  expect(cadenceOf(past, 100)).toEqual({
    dueTimes: 11,
    fromMs: 10 * minuteMs,
    toMs: 20 * minuteMs,
    outcomes: { waiting: 1, skipped_overlap: 8, started: 2 },
    succeeded: 1,
    askedEveryMs: minuteMs,
    ranEveryMs: 5 * minuteMs,
  });
});

test('no more than asked for are counted, the newest ones: a year of missed minutes is not walked through', () => {
  expect(cadenceOf([slots(10, 10 + 365 * 1440, 'missed')], 100)).toMatchObject({
    dueTimes: 100,
    toMs: (10 + 365 * 1440) * minuteMs,
    fromMs: (10 + 365 * 1440 - 99) * minuteMs,
    outcomes: { missed: 100 },
    ranEveryMs: null,
  });
});

test('each stretch is counted by the schedule that made it, and a moved slot by itself', () => {
  const hourly: PastSlots = { ...slots(60, 180, 'coalesced'), schedule: { every: '1h' } };
  const moved: PastSlots = { ...slots(187, 187, 'started'), schedule: { every: '1h' } };
  expect(cadenceOf([slots(190, 191, 'missed'), moved, hourly], 100).outcomes).toEqual({
    missed: 2,
    started: 1,
    coalesced: 3,
  });
});

test('without due times there is nothing to say', () => {
  expect(cadenceOf([], 100)).toMatchObject({ dueTimes: 0, fromMs: null, askedEveryMs: null, outcomes: {} });
});
