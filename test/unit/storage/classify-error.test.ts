import { describe, expect, test } from '@jest/globals';
import { codeOf, PenstockError } from '../../../src/domain/errors.ts';
import { classifyError } from '../../../src/storage/classify-error.ts';

const withCode = (code: string) => Object.assign(new Error('from the driver'), { code });

describe('an error of the control database', () => {
  test.each([
    ...['08006', '53300', '53100', '57P01', '57P03', '58030', '25P03', '25006'].map(withCode),
    ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH'].map(
      withCode,
    ),
    new Error('Query read timeout'),
    new Error('timeout expired'),
    new Error('timeout exceeded when trying to connect'),
    new Error('Connection terminated unexpectedly'),
    new Error('Client has encountered a connection error and is not queryable'),
    new Error('Client was closed and is not queryable'),
    Object.assign(new AggregateError([withCode('ECONNREFUSED')]), { code: 'ECONNREFUSED' }),
  ])('is UNAVAILABLE when the server or the way to it fails: %s', (error) => {
    expect(classifyError(error)).toMatchObject({ code: 'UNAVAILABLE', cause: error });
  });

  test.each([
    ...['42P01', '23505', '57014', '55P03', '40001', 'ERR_INVALID_ARG_TYPE'].map(withCode),
    new TypeError("Cannot read properties of undefined (reading 'id')"),
    new PenstockError('NOT_FOUND', 'there is no run'),
    undefined,
    'thrown',
  ])('is left as it is when it is of the statement or of our own code: %s', (error) => {
    expect(classifyError(error)).toBe(error);
    expect(codeOf(error)).not.toBe('UNAVAILABLE');
  });
});
