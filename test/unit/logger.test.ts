import { describe, expect, test } from '@jest/globals';
import { PenstockError } from '../../src/domain/errors.ts';
import { createKeptLogger } from '../support/kept-logger.ts';

/** An error as pg throws it. */
const databaseError = (code: string, message: string) =>
  Object.assign(new Error(message), {
    code,
    severity: 'ERROR',
    detail: 'Key (email)=(secret-row) already exists.',
    where: 'COPY t, line 3, column email: "secret-row"',
    hint: 'secret-row',
  });

const logged = (err: unknown): { text: string; line: Record<string, unknown> } => {
  const { logger, lines } = createKeptLogger();
  logger.error({ err, run: 'run_1' }, 'it failed');
  return { text: lines.join(), line: JSON.parse(lines[0]!) as Record<string, unknown> };
};

describe('a log line', () => {
  test('is one JSON object with level, time, name, ids and words', () => {
    expect(logged(new Error('x')).line).toMatchObject({
      level: 'error',
      name: 'test',
      run: 'run_1',
      msg: 'it failed',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      err: { name: 'Error', message: 'x', stack: expect.stringContaining('logger.test') },
    });
  });

  test.each([
    ['22P02', 'invalid input syntax for type integer: "secret-row"'],
    ['42601', 'syntax error at or near "secret-row"'],
    ['22021', 'invalid byte sequence secret-row'],
    ['XX000', 'secret-row'],
  ])('of SQLSTATE %s quotes no value, also when it is the cause of our own error', (code, message) => {
    const cause = databaseError(code, message);
    for (const err of [cause, new PenstockError('VALUE_REFUSED', 'a value was refused', { cause })]) {
      const { text } = logged(err);
      expect(text).not.toContain('secret-row');
      expect(text).toContain(code);
    }
  });

  test('keeps the words that name objects only, so that a defect can be found', () => {
    const { text } = logged(databaseError('42P01', 'relation "penstock.sync" does not exist'));
    expect(text).toContain('penstock.sync');
    expect(text).not.toContain('secret-row');
  });

  test('of an error whose message has several lines keeps frames, not lines of the message', () => {
    const { line } = logged(databaseError('22P02', 'first\nsecret-row'));
    expect(JSON.stringify(line)).not.toContain('secret-row');
  });
});
