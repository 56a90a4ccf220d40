/** Each kind of Redis: the one of the tests, and Valkey. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { refill } from '../../../src/schedule/refill.ts';
import { fetchRefused, rightsOf } from '../../../src/schedule/redis-rights.ts';
import { findRedisProgram } from '../../support/redis-programs.ts';
import { createRedisServers } from '../../support/redis-servers.ts';
import { createSchedulerRoom, endRuns, plantDue, type SchedulerRoom } from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

const kinds: [kind: string, findProgram: () => Promise<string | undefined>][] = [
  ['the Redis of the tests', async () => undefined],
  ['Valkey', () => findRedisProgram('valkey')],
];

let room: SchedulerRoom;
beforeAll(async () => {
  room = await createSchedulerRoom();
});
afterAll(() => room.close());

test.each(kinds)(
  '%s runs ticks, admissions, sweeps and refills, for a user with our rights',
  async (_, find) => {
    const program = await find();
    const servers = await createRedisServers({ ...(program !== undefined && { program }) });
    const { admin, port } = await servers.start();
    await admin.acl('SETUSER', 'penstock', 'on', '>pw', ...rightsOf('single'));
    const index = await room.openIndex({}, `redis://penstock:pw@127.0.0.1:${port}`);
    try {
      await plantDue(room.pool, { count: 6 });
      await room.startDispatcher({ index, options: { ...room.deps().options, globalCap: 3 } });
      const started = (count: number) =>
        waitUntil('runs are started', () => room.starter.started.length >= count);
      await started(3);
      await admin.flushall();
      await waitUntil('the index is filled', async () => (await admin.get(room.key('filled'))) === 'all');
      await endRuns(
        room,
        index,
        room.starter.started.map(({ runId }) => runId),
      );
      await started(6);
      expect(await refill(room.deps({ index }), { again: true })).toBe(true);
      expect(await admin.acl('LOG')).toEqual([]);
      await admin.acl('SETUSER', 'penstock', '-zadd');
      const limited = admin.duplicate({ username: 'penstock', password: 'pw' });
      expect(await fetchRefused(limited)).toEqual(['zadd']);
      limited.disconnect();
    } finally {
      await room.clear();
      index.close();
      await servers.close();
    }
  },
);
