/**
 * P1: a destination that goes back: restored to a state from before the load or from its middle. What is lost is noticed
 * and copied again while the load is open.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { startStack, type Stack } from '../../../src/dev/stack.ts';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import type { SyncSpec } from '../../../src/domain/sync-spec.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import { accessOf, type PipeRoom, type TestSync } from '../../support/pipe-room.ts';
import { expectExact } from '../support/expect-exact.ts';
import { createItemRoom, itemQuery } from '../support/items.ts';

const rows = 1_000;
const limits = { rows: 100, bytes: 16 * 1024 * 1024, timeMs: 60_000 };
const modes = ['append', 'upsert', 'mirror', 'replace'] as const;

let room: PipeRoom;
let folder: string;
let stack: Stack<'postgres'>;
/** The room with its destination on the server that goes back. */
let there: PipeRoom;
let sync: TestSync;
let run: RunId;
let load: OpenLoad;
beforeAll(async () => {
  room = await createItemRoom(rows);
});
afterAll(() => room.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-older-'));
  const options = { dataDir: join(folder, 'now'), log: () => {}, servers: ['postgres' as const] };
  stack = await startStack({ ...options, postgres: { settings: { fsync: 'off' } } });
}, 60_000);
afterEach(async () => {
  await Promise.all([there.destination.close(), there.to.end()]);
  await stack.stop({ discard: true });
  await rm(folder, { recursive: true, force: true });
}, 60_000);

/** Connects anew: after a restart nothing of before is open. */
async function arrive(): Promise<void> {
  const { url } = stack.postgres;
  const destinationAccess = accessOf(url);
  const to = new Client({ connectionString: url });
  to.on('error', () => {});
  await to.connect();
  there = {
    ...room,
    to,
    destinationAccess,
    destination: room.openDestination({ access: destinationAccess }),
  };
}

async function leave(): Promise<void> {
  await Promise.all([there.destination.close(), there.to.end()]);
  await stack.postgres.kill('SIGINT');
}

const data = () => join(stack.dataDir, 'postgres', 'data');

/** The server's files as they are now, its sessions ended. */
async function keep(): Promise<void> {
  await leave();
  await cp(data(), join(folder, 'kept'), { recursive: true, preserveTimestamps: true });
  await startAgain();
}

/** The server as it was when it was kept. */
async function restore(): Promise<void> {
  await leave();
  await rm(data(), { recursive: true });
  await cp(join(folder, 'kept'), data(), { recursive: true, preserveTimestamps: true });
  await startAgain();
}

async function startAgain(): Promise<void> {
  await stack.postgres.start();
  await arrive();
}

const prepare = async (): Promise<void> => {
  load = await there.prepare(sync, run, { destination: there.destination });
};

/** One attempt, until so many batches of the load are committed in all. */
function copyTo(batches: number) {
  let isEnough = false;
  return there.attempt(run, load, {
    destination: there.destination,
    limits,
    drain: () => isEnough,
    onProgress: (progress) => (isEnough = progress.batches >= batches),
  });
}

async function open(mode: SyncSpec['mode']): Promise<void> {
  await arrive();
  await there.destination.ensureSchema();
  sync = room.sync({ query: itemQuery, key: ['id'], mode });
  run = newId('run');
}

describe('a destination that is restored', () => {
  test.each(modes)(
    'to the middle of a load, in mode %s, gets what it lost once more',
    async (mode) => {
      await open(mode);
      await prepare();
      await copyTo(3);
      await keep();
      expect(await copyTo(7)).toMatchObject({ outcome: 'yielded' });
      await restore();
      expect(await copyTo(Infinity)).toMatchObject({ outcome: 'finished', rows: rows - 300 });
      await expectExact(there, { run, load, query: itemQuery });
    },
    120_000,
  );

  test.each(modes)(
    'to a state from before the load, in mode %s, does not know it, and gets another',
    async (mode) => {
      await open(mode);
      await keep();
      await prepare();
      await copyTo(3);
      await restore();
      expect(await copyTo(Infinity)).toMatchObject({ outcome: 'lost', rows: 0 });
      await prepare();
      expect(await copyTo(Infinity)).toMatchObject({ outcome: 'finished', rows });
      await expectExact(there, { run, load, query: itemQuery });
    },
    120_000,
  );
});
