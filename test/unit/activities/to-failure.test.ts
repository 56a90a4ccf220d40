import { CancelledFailure } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from '@jest/globals';
import { toFailure } from '../../../src/activities/to-failure.ts';
import { errorTable, PenstockError, type ErrorCode } from '../../../src/domain/errors.ts';

describe('an error on its way into the history', () => {
  test.each(Object.keys(errorTable) as ErrorCode[])('has its code as type: %s', (code) => {
    const failure = toFailure(new PenstockError(code, 'what happened')) as ApplicationFailure;
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure.type).toBe(code);
    expect(failure.message).toBe('what happened');
    expect(failure.nonRetryable).toBe(errorTable[code].retry === 'never');
  });

  test('tells only the kind of a foreign error, never its text or its cause', () => {
    const driver = Object.assign(new Error('Key (email)=(canary@example.com) already exists'), {
      name: 'DatabaseError',
      code: '23505',
      detail: 'canary',
    });
    for (const error of [
      driver,
      new PenstockError('VALUE_REFUSED', 'a value does not fit', { cause: driver }),
    ]) {
      const failure = toFailure(error) as ApplicationFailure;
      expect(`${failure.message} ${failure.stack} ${String(failure.cause)}`).not.toContain('canary');
      expect(failure.cause).toBeUndefined();
    }
    expect(toFailure(driver).message).toBe("unexpected DatabaseError 23505; the worker's log has the stack");
  });

  test.each([undefined, null, 'canary', { message: 'canary' }])('survives %p being thrown', (thrown) => {
    const failure = toFailure(thrown) as ApplicationFailure;
    expect(failure.type).toBe('INTERNAL');
    expect(failure.message).not.toContain('canary');
  });

  test('lets cancellations pass as they are', () => {
    const cancelled = new CancelledFailure('TIMED_OUT');
    expect(toFailure(cancelled)).toBe(cancelled);
  });
});
