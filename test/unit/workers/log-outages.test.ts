import { expect, test } from '@jest/globals';
import { PenstockError } from '../../../src/domain/errors.ts';
import { logOutages } from '../../../src/workers/log-outages.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';

test('an outage is one line, however many calls meet it, and its end another', async () => {
  const { logger, lines } = createKeptLogger();
  let isAway = false;
  const store = {
    fetch: async (id: string) => {
      if (isAway) throw new PenstockError('UNAVAILABLE', 'away');
      return id;
    },
    refuse: () => Promise.reject(new PenstockError('NOT_FOUND', 'no')),
  };
  const port = logOutages(store, 'it', logger);
  const said = () => lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  await port.fetch('a');
  await expect(port.refuse()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(said()).toEqual([]);
  isAway = true;
  for (let n = 0; n < 5; n += 1) await expect(port.fetch('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(said()).toEqual(['it does not answer; what needs it is tried again until it does']);
  isAway = false;
  expect(await port.fetch('b')).toBe('b');
  expect(said().slice(1)).toEqual(['it answers again']);
});
