import { CancelledFailure } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from '@jest/globals';
import { logUnexpected, toFailure } from '../../../src/activities/to-failure.ts';
import { errorTable, PenstockError, type ErrorCode } from '../../../src/domain/errors.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';

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
    expect(toFailure(driver).message).toBe("unexpected DatabaseError 23505; the worker's log says where");
  });

  test('is logged by where it came from, without its text, when nobody expected it', () => {
    const { logger, lines } = createKeptLogger();
    logUnexpected(logger, new TypeError('canary\n    canary'), { run: 'run_1' });
    expect(lines.join()).toContain('unexpected TypeError');
    expect(lines.join()).toContain('to-failure.test.ts');
    expect(lines.join()).not.toContain('canary');
    logUnexpected(logger, new PenstockError('SOURCE_SQL', 'known'), {});
    expect(lines.length).toBe(1);
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
