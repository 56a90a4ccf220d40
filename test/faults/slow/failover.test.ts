/** P1: the destination fails over to a replica that lacks the newest batches; they are noticed to be gone, and copied again. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import type { SyncSpec } from '../../../src/domain/sync-spec.ts';
import type { Destination, OpenLoad } from '../../../src/ports/destination.ts';
import { execute } from '../../support/execute.ts';
import { accessOf, type PipeRoom } from '../../support/pipe-room.ts';
import { startStandbyPair, type StandbyPair } from '../../support/standby-pair.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { expectExact } from '../support/expect-exact.ts';
import { createItemRoom, itemQuery } from '../support/items.ts';
import { begunPartition } from '../support/moments.ts';
import { startPooler } from '../support/pooler.ts';

const rows = 1_000;
const limits = { rows: 100, bytes: 16 * 1024 * 1024, timeMs: 60_000 };

let room: PipeRoom;
let pair: StandbyPair;
let run: RunId;
let load: OpenLoad;
beforeAll(async () => {
  room = await createItemRoom(rows);
});
afterAll(() => room.close());
beforeEach(async () => {
  pair = await startStandbyPair({ primary: {}, standby: {} });
}, 60_000);
afterEach(() => pair.close(), 60_000);

/** What is committed by now is on both; what comes later the standby does not hear. */
async function loseWhatComes(): Promise<void> {
  await pair.replayed();
  pair.link.freeze();
}

async function failOver(): Promise<void> {
  await pair.primary.kill('SIGQUIT');
  await execute(pair.standby.url, 'select pg_promote()');
}

async function open(mode: SyncSpec['mode'], destination: Destination): Promise<void> {
  run = newId('run');
  await destination.ensureSchema();
  load = await room.prepare(room.sync({ query: itemQuery, key: ['id'], mode }), run, { destination });
}

/** At the one that was a standby. */
async function expectWhole(): Promise<void> {
  const destinationAccess = accessOf(pair.standby.url);
  const destination = room.openDestination({ access: destinationAccess });
  const to = new Client({ connectionString: pair.standby.url });
  to.on('error', () => {});
  await to.connect();
  const again = await room.attempt(run, load, { destination, limits });
  expect(again).toMatchObject({ outcome: 'finished', rows: rows - 300 });
  await expectExact({ ...room, to, destination, destinationAccess }, { run, load, query: itemQuery });
  await Promise.all([to.end(), destination.close()]);
}

describe('a destination that fails over to a replica which lacks the newest batches', () => {
  test.each(['append', 'upsert', 'mirror', 'replace'] as const)(
    'gets them once more, in mode %s',
    async (mode) => {
      const destination = room.openDestination({ access: accessOf(pair.primary.url) });
      await open(mode, destination);
      const copyTo = (batches: number) => {
        let isEnough = false;
        const onProgress = (progress: { batches: number }) => void (isEnough = progress.batches >= batches);
        return room.attempt(run, load, { destination, limits, drain: () => isEnough, onProgress });
      };
      await copyTo(3);
      await loseWhatComes();
      expect(await copyTo(7)).toMatchObject({ outcome: 'yielded', rows: 400 });
      await destination.close();
      await failOver();
      await expectWhole();
    },
    120_000,
  );

  test.each(['append', 'upsert'] as const)(
    'gets them once more from a writer whom a pooler leads there, in mode %s',
    async (mode) => {
      const way = await startTcpProxy(pair.primary);
      const pooler = await startPooler({
        postgres: Object.assign(new URL(pair.primary.url), { port: way.port }).href,
      });
      const proxy = await startTcpProxy(pooler);
      const access = { ...accessOf(pair.primary.url), port: proxy.port };
      const destination = room.openDestination({ access });
      await open(mode, destination);
      const lead = async (): Promise<void> => {
        await failOver();
        way.lead(pair.standby);
        way.cut();
      };
      let led: Promise<void> | undefined;
      const between: Readonly<Record<number, () => Promise<void>>> = {
        // With the commit of the batch before.
        5: loseWhatComes,
        8: () => (led = lead()),
      };
      let begun = 0;
      proxy.intercept('toServer', (chunk) =>
        begunPartition(chunk.toString('latin1')) === undefined ? 'pass' : (between[++begun]?.() ?? 'pass'),
      );
      try {
        const attempt = await room.attempt(run, load, { destination, limits });
        // The next batch begins with the commit before it: what is known of that depends on when the pooler notices.
        expect(['fenced', 'yielded']).toContain(attempt.outcome);
        await led;
        await expectWhole();
      } finally {
        await destination.close();
        await proxy.close();
        await pooler.stop();
        await way.close();
      }
    },
    120_000,
  );
});
