import { describe, expect, test } from '@jest/globals';
import { PenstockError } from '../../../src/domain/errors.ts';
import { retryUntilUp } from '../../../src/workers/retry-until-up.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';

const said = (lines: readonly string[]) => lines.map((line) => (JSON.parse(line) as { msg: string }).msg);

describe('waiting for a dependency', () => {
  test('says nothing when it answers at once', async () => {
    const { logger, lines } = createKeptLogger();
    const { signal } = new AbortController();
    expect(await retryUntilUp({ what: 'it', logger, signal }, async () => 'here')).toBe('here');
    expect(lines).toEqual([]);
  });

  test('says so once while it is away, and once when it answers', async () => {
    const { logger, lines } = createKeptLogger();
    const { signal } = new AbortController();
    let tries = 0;
    const answer = await retryUntilUp({ what: 'it', logger, signal }, async () => {
      if (++tries < 3) throw new Error('refused');
      return 'here';
    });
    expect(answer).toBe('here');
    expect(said(lines)).toEqual(['it does not answer; trying again until it does', 'it answers']);
  });

  test('gives up at once when the configuration is wrong', async () => {
    const { logger } = createKeptLogger();
    const { signal } = new AbortController();
    const wrong = () => Promise.reject(new PenstockError('CONFIG', 'wrong'));
    await expect(retryUntilUp({ what: 'it', logger, signal }, wrong)).rejects.toMatchObject({
      code: 'CONFIG',
    });
  });

  test('ends when told to, also between two tries', async () => {
    const { logger } = createKeptLogger();
    const told = new AbortController();
    const waiting = retryUntilUp({ what: 'it', logger, signal: told.signal }, () => {
      setImmediate(() => told.abort());
      return Promise.reject(new Error('refused'));
    });
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('ends when told to during a try, and closes what that try opens later', async () => {
    const { logger, lines } = createKeptLogger();
    const told = new AbortController();
    let connect = (): void => undefined;
    const closed: string[] = [];
    const waiting = retryUntilUp(
      { what: 'it', logger, signal: told.signal },
      () => new Promise<string>((resolve) => (connect = () => resolve('a connection'))),
      async (late) => closed.push(late),
    );
    told.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    connect();
    await new Promise(setImmediate);
    expect(closed).toEqual(['a connection']);
    expect(lines).toEqual([]);
  });
});
