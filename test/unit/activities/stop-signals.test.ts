import { CancelledFailure } from '@temporalio/activity';
import { ActivityCancellationDetails } from '@temporalio/common';
import { describe, expect, jest, test } from '@jest/globals';
import { watchStop } from '../../../src/activities/stop-signals.ts';

type Details = NonNullable<ConstructorParameters<typeof ActivityCancellationDetails>[0]>;

function attempt() {
  const cancellation = new AbortController();
  const drain = new AbortController();
  const context: { cancellationSignal: AbortSignal; cancellationDetails?: ActivityCancellationDetails } = {
    cancellationSignal: cancellation.signal,
  };
  const told: string[] = [];
  const stop = watchStop(context as Parameters<typeof watchStop>[0], drain.signal, (how) => told.push(how));
  return {
    stop,
    told,
    drain,
    cancel: (details: Details) => {
      context.cancellationDetails = new ActivityCancellationDetails(details);
      cancellation.abort(new CancelledFailure('told'));
    },
  };
}

const soft: [string, Details][] = [
  ['a cancellation', { cancelRequested: true }],
  ['a pause from the Web UI', { paused: true }],
];
const hard: [string, Details][] = [
  ['its workflow is gone or it was replaced', { notFound: true }],
  ['it timed out', { timedOut: true }],
  ['it was reset', { reset: true }],
  ['it was cancelled and is gone', { notFound: true, cancelRequested: true }],
  ['the grace of the shutdown is over', { workerShutdown: true }],
];

describe('an attempt', () => {
  test('goes on until it is told otherwise', () => {
    const { stop } = attempt();
    expect(stop.isStopping()).toBe(false);
    expect(stop.signal.aborted).toBe(false);
    stop.dispose();
  });

  test.each(soft)('commits the batch in hand after %s', (_, details) => {
    const { stop, cancel, told } = attempt();
    cancel(details);
    expect(stop.isStopping()).toBe(true);
    expect(stop.signal.aborted).toBe(false);
    expect(told).toEqual(['softly']);
    stop.dispose();
  });

  test('commits the batch in hand when the process drains', () => {
    const { stop, drain, told } = attempt();
    drain.abort();
    expect(stop.isStopping()).toBe(true);
    expect(stop.signal.aborted).toBe(false);
    expect(told).toEqual(['softly']);
    stop.dispose();
  });

  test.each(hard)('commits nothing more when %s', (_, details) => {
    const { stop, cancel, told } = attempt();
    cancel(details);
    expect(stop.signal.aborted).toBe(true);
    expect(stop.signal.reason).toBeInstanceOf(CancelledFailure);
    expect(stop.isStopping()).toBe(false);
    expect(told).toEqual(['hard']);
    stop.dispose();
  });

  test('that takes too long to stop is made to', () => {
    jest.useFakeTimers();
    try {
      const { stop, cancel } = attempt();
      cancel({ cancelRequested: true });
      jest.advanceTimersByTime(19_999);
      expect(stop.signal.aborted).toBe(false);
      jest.advanceTimersByTime(1);
      expect(stop.signal.aborted).toBe(true);
      stop.dispose();
    } finally {
      jest.useRealTimers();
    }
  });

  test('that an operator paused ends as cancelled, unless the run was cancelled, too', () => {
    const paused = attempt();
    paused.cancel({ paused: true });
    expect(paused.stop.isPausedByOperator()).toBe(true);
    paused.stop.dispose();
    const both = attempt();
    both.cancel({ paused: true, cancelRequested: true });
    expect(both.stop.isPausedByOperator()).toBe(false);
    both.stop.dispose();
  });
});
