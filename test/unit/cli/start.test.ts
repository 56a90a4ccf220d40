/** What `penstock start` refuses before it starts anything. */
import { expect, test } from '@jest/globals';
import { command } from '../../../src/cli/commands/start.ts';

const needed = {
  databaseUrl: 'postgres://u:p@db/penstock',
  redisUrl: 'redis://r:6379',
  masterKey: `a:${Buffer.alloc(32, 7).toString('base64')}`,
};
const start = (worker: string, workerClass?: string) =>
  Promise.resolve(
    command.run({
      args: [],
      options: { roles: 'worker', worker },
      flags: { ...needed, ...(workerClass !== undefined && { workerClass }) },
      json: false,
    }),
  );

test.each(['workflows', 'copy'])(
  'a worker of a class takes all of its steps, so it is no %s worker',
  async (kind) => {
    await expect(start(kind, 'eu')).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(`--worker ${kind} .* worker class eu: leave --worker out`),
    });
  },
);
