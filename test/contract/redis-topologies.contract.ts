/** Redis with Sentinels, and as a cluster: the dispatcher works on it, and over its failures; the doctor finds it well. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { parseRedisUrl } from '../../src/config/redis-url.ts';
import { examineRedis } from '../../src/workers/doctor/examine-redis.ts';
import { createKeptLogger } from '../support/kept-logger.ts';
import { expectOutagesInTurns, outagesIn } from '../support/outages-told.ts';
import {
  createRedisServers,
  type RedisNode,
  type RedisServers,
  type RedisServersOptions,
} from '../support/redis-servers.ts';
import { createSchedulerRoom, plantDue, type SchedulerRoom } from '../support/scheduler-room.ts';
import { waitUntil } from '../support/wait-until.ts';

/** @param findOptions may take its time */
export function describeRedisTopologies(findOptions: () => Promise<RedisServersOptions>): void {
  let servers: RedisServers;
  let room: SchedulerRoom;
  beforeAll(async () => {
    servers = await createRedisServers(await findOptions());
    room = await createSchedulerRoom();
  }, 300_000);
  afterEach(() => room.clear());
  afterAll(async () => {
    await room?.close();
    await servers?.close();
  });

  /** Some more syncs fall due, and their runs are started. */
  async function expectStarts(count: number): Promise<void> {
    const before = room.starter.started.length;
    await plantDue(room.pool, { count });
    await waitUntil('they are started', () => room.starter.started.length >= before + count);
  }

  /** The index is on this server, and knows the places of all that was started. */
  const expectPlacesOn = ({ admin }: RedisNode): Promise<void> =>
    waitUntil(
      'the index is written there',
      async () =>
        (await admin.get(room.key('filled'))) === 'all' &&
        (await admin.scard(room.key('active:global'))) === room.starter.started.length,
    );

  /** The server is new enough, keeps its keys, and lets us do what we must. */
  const expectWell = async (url: string): Promise<void> =>
    expect(await examineRedis(parseRedisUrl(url))).not.toContainEqual(
      expect.objectContaining({ state: 'failed' }),
    );

  describe('Sentinels', () => {
    test('a master that falls silent is replaced by its replica, and the index moves there', async () => {
      const master = await servers.start();
      const replica = await servers.start(`replicaof 127.0.0.1 ${master.port}`);
      await waitUntil('the replica follows', async () =>
        (await replica.admin.info('replication')).includes('master_link_status:up'),
      );
      const sentinel = await servers.startSentinel(master);
      const { logger, lines } = createKeptLogger();
      const url = servers.urlOf('+sentinel', [{ port: 1 }, sentinel], '/main');
      await expectWell(url);
      await room.startDispatcher({ index: await room.openIndex({}, url, logger) });
      await expectStarts(3);
      await expectPlacesOn(master);

      master.signal('SIGSTOP');
      await waitUntil('the replica is master', async () =>
        (await replica.admin.info('replication')).includes('role:master'),
      );
      await expectStarts(3);
      await expectPlacesOn(replica);
      master.signal('SIGCONT');
      await waitUntil('the end of the outage is told', () => outagesIn(lines).at(-1) === 'serves again');
      expectOutagesInTurns(lines);
    });
  });

  describe('a cluster', () => {
    let nodes: RedisNode[];
    beforeAll(async () => {
      nodes = await servers.startCluster();
    }, 60_000);

    /** Who serves the slot that all keys lie in. */
    async function findOwner(): Promise<RedisNode> {
      for (const node of nodes) {
        const answer = await node.admin.get('{penstock}').then(
          () => 'served',
          () => 'moved',
        );
        const isMaster = (await node.admin.info('replication')).includes('role:master');
        if (answer === 'served' && isMaster) return node;
      }
      throw new Error('nobody serves the slot');
    }

    /** Key by key, as `redis-cli --cluster reshard` does it. */
    async function moveSlot(from: RedisNode, to: RedisNode): Promise<void> {
      const slot = await from.admin.cluster('KEYSLOT', '{penstock}');
      const [fromId, toId] = await Promise.all([from, to].map(({ admin }) => admin.cluster('MYID')));
      await to.admin.cluster('SETSLOT', slot, 'IMPORTING', fromId!);
      await from.admin.cluster('SETSLOT', slot, 'MIGRATING', toId!);
      await expectStarts(2);
      for (;;) {
        const [key] = await from.admin.cluster('GETKEYSINSLOT', slot, 1);
        if (key === undefined) break;
        await from.admin.migrate('127.0.0.1', to.port, key, 0, 1_000);
      }
      for (const { admin } of [to, from]) await admin.cluster('SETSLOT', slot, 'NODE', toId!);
    }

    test('serves a dispatcher, while its slot is moved and after its master has died', async () => {
      const url = servers.urlOf('+cluster', [nodes[5]!, nodes[0]!]);
      await expectWell(url);
      await room.startDispatcher({ index: await room.openIndex({}, url) });
      await expectStarts(3);
      const first = await findOwner();
      await expectPlacesOn(first);

      const second = nodes.slice(0, 3).find((node) => node !== first)!;
      await moveSlot(first, second);
      expect(await findOwner()).toBe(second);
      await expectStarts(3);
      await expectPlacesOn(second);

      await second.kill();
      nodes = nodes.filter((node) => node !== second);
      await expectStarts(3);
      await waitUntil('a replica has taken over', async () => (await findOwner()) !== second);
      await expectPlacesOn(await findOwner());
    });
  });
}
