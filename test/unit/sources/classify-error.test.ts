import { describe, expect, test } from '@jest/globals';
import { classifySourceError } from '../../../src/sources/postgres/classify-error.ts';

const saying = (code: string, message: string, position?: string) =>
  Object.assign(new Error(message), { code, position });
const told = (error: Error) => classifySourceError(error, 'Reading the source').message;

describe('what a source says', () => {
  test('is passed on where it names objects only, with the position', () => {
    expect(told(saying('42P01', 'relation "users" does not exist', '15'))).toBe(
      'Reading the source: relation "users" does not exist at position 15 of the statement.',
    );
    expect(told(saying('22P02', 'invalid input syntax for type integer: "canary"'))).not.toContain('canary');
  });

  test('is nothing where the connection was closed: EPIPE is no SQLSTATE', () => {
    expect(classifySourceError(saying('EPIPE', 'write EPIPE'), 'Reading the source')).toMatchObject({
      code: 'SOURCE_UNREACHABLE',
      message: 'Reading the source: the connection was closed.',
    });
  });

  test('is that it wants less work, when it has no connections left', () => {
    const error = saying('53300', 'sorry, too many clients already');
    expect(classifySourceError(error, 'Reading the source').code).toBe('SOURCE_THROTTLED');
    expect(classifySourceError(saying('53200', 'out of memory'), '').code).toBe('SOURCE_UNREACHABLE');
  });

  test('is cut, and its position is a number, whatever the server sends', () => {
    const message = told(saying('42P01', 'x'.repeat(1_000_000), 'canary'.repeat(1_000)));
    expect(message.length).toBeLessThan(400);
    expect(message).not.toContain('canary');
  });
});
