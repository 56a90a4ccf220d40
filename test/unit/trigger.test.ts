import { describe, expect, test } from '@jest/globals';
import { decideTrigger, planTrigger, type OpenRun, type TriggerInput } from '../../src/domain/trigger.ts';

const run = (over: Partial<OpenRun> = {}): OpenRun => ({
  runId: 'atWork',
  status: 'running',
  isDue: true,
  version: 2,
  priority: 3,
  ...over,
});
const waiting = (over: Partial<OpenRun> = {}): OpenRun =>
  run({ runId: 'waiting', status: 'queued', ...over });
const wanted = { version: 2, priority: 3 };
const make = { kind: 'make' };
const take = (runId: string) => ({ kind: 'take', runId });

describe('a trigger while runs are open', () => {
  test('queue: one run waits, whoever asks', () => {
    expect(decideTrigger('queue', wanted, [])).toEqual(make);
    expect(decideTrigger('queue', wanted, [run()])).toEqual(make);
    expect(decideTrigger('queue', wanted, [run(), waiting()])).toEqual(take('waiting'));
  });

  test('queue: a run that would do something else, or later, is not taken', () => {
    for (const other of [{ version: 1 }, { isDue: false }, { priority: 4 }])
      expect(decideTrigger('queue', wanted, [waiting(other)])).toEqual(make);
    expect(decideTrigger('queue', wanted, [waiting({ priority: 1 })])).toEqual(take('waiting'));
  });

  test('join: the run at work is taken, unless it is cancelling or of another version', () => {
    expect(decideTrigger('join', wanted, [run(), waiting()])).toEqual(take('atWork'));
    expect(decideTrigger('join', wanted, [run({ status: 'cancelling' }), waiting()])).toEqual(
      take('waiting'),
    );
    expect(decideTrigger('join', wanted, [run({ version: 1 })])).toEqual(make);
    expect(decideTrigger('join', wanted, [])).toEqual(make);
  });

  test('reject: any open run that is due refuses it', () => {
    expect(decideTrigger('reject', wanted, [run({ version: 1, status: 'cancelling' })])).toEqual({
      kind: 'refuse',
      runId: 'atWork',
    });
    expect(decideTrigger('reject', wanted, [waiting({ isDue: false })])).toEqual(make);
  });
});

describe('what a trigger asks for', () => {
  const at = '2030-01-01T00:00:00Z';
  const debounce = { key: 'k', for: '5s' };

  test('is now, and queued, unless it says so', () => {
    expect(planTrigger({})).toEqual({ at: null, inMs: 0, debounce: null, onRunning: 'queue' });
    expect(planTrigger({ onRunning: 'join' }).onRunning).toBe('join');
    expect(planTrigger({ at })).toMatchObject({ at, onRunning: null });
    expect(planTrigger({ in: '90s' })).toMatchObject({ at: null, inMs: 90_000, onRunning: null });
    expect(planTrigger({ debounce })).toMatchObject({ debounce: 'k', inMs: 5_000, onRunning: null });
  });

  test.each<[TriggerInput, string]>([
    [{ at, in: '1s' }, '/in'],
    [{ at, debounce }, '/debounce'],
    [{ in: '1s', debounce }, '/debounce'],
    [{ in: '1s', onRunning: 'join' }, '/onRunning'],
    [{ in: '367d' }, '/in'],
    [{ debounce: { key: 'k', for: '999999999999d' } }, '/debounce/for'],
  ])('%j is refused at %s', (input, pointer) => {
    expect(() => planTrigger(input)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST', pointer }));
  });
});
