/**
 * P1, P3: publishing a whole load breaks off between any two things that it says to the destination. Readers find the rows
 * of before or of after; whoever comes next finishes it once, and nothing is left behind.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { startStack, type Stack } from '../../src/dev/stack.ts';
import { openPostgresDestination } from '../../src/destinations/postgres/postgres-destination.ts';
import { defaultTimeouts } from '../../src/destinations/postgres/destination-session.ts';
import { newId, type RunId } from '../../src/domain/ids.ts';
import type { Destination, OpenLoad } from '../../src/ports/destination.ts';
import { accessOf, createPipeRoom, type PipeRoom, type TestSync } from '../support/pipe-room.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { waitUntil } from '../support/wait-until.ts';
import { rollDice } from '../support/dice.ts';
import { faultSeeds } from './support/seeds.ts';

let stack: Stack<'postgres'>;
let room: PipeRoom;
let proxy: TcpProxy;
/** Past the proxy. */
let plain: Destination;

const open = (port: number, graceMs = 100): Destination =>
  openPostgresDestination(
    { ...accessOf(stack.postgres.url), port },
    { timeouts: { ...defaultTimeouts, graceMs } },
  );

beforeAll(async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'penstock-publishing-'));
  stack = await startStack({ dataDir, log: () => {}, servers: ['postgres'] });
  room = await createPipeRoom();
  await room.from.query('create table numbers (id integer primary key, label text)');
  await room.from.query(`insert into numbers select i, 'new' from generate_series(1001, 1300) as i`);
  const { host, port } = stack.postgres;
  proxy = await startTcpProxy({ host, port });
  plain = open(port);
}, 60_000);
afterEach(() => {
  proxy.mend();
  proxy.thaw();
});
afterAll(async () => {
  await plain.close();
  await proxy.close();
  await room.close();
  await stack.stop({ discard: true });
}, 60_000);

/** One statement of somebody else at the destination. */
async function ask<Row extends object>(sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: stack.postgres.url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}
const targetRows = async () =>
  (await ask<{ row: string }>('select id::text as row from target order by id')).map(({ row }) =>
    Number(row),
  );

const old = Array.from({ length: 250 }, (_, i) => i + 1);
const fresh = Array.from({ length: 300 }, (_, i) => i + 1001);
const numbers = 'select * from numbers';

const ways = {
  'an append of what cannot be resumed': {
    mode: 'append',
    query: `${numbers} limit 300`,
    more: '',
    after: [...old, ...fresh],
  },
  'a replacement by swap': { mode: 'replace', query: numbers, more: '', after: fresh },
  'a replacement by exchange': {
    mode: 'replace',
    query: numbers,
    more: 'create view report as select * from target',
    after: fresh,
  },
} as const;
type Way = (typeof ways)[keyof typeof ways];

interface Copied {
  sync: TestSync;
  run: RunId;
  load: OpenLoad;
  finish: () => Promise<{ receipt: { read: number } }>;
  /** By the proxy, on a connection of its own; an error is its answer. */
  finishNear: () => Promise<unknown>;
}

/** A load whose rows are all there; only the publishing is missing. */
async function copyWith({ mode, query, more }: Way): Promise<Copied> {
  await ask(`drop table if exists target cascade; create table target (id integer primary key, label text);
    insert into target select i, 'old' from generate_series(1, 250) as i; create index on target (label); ${more}`);
  const sync = room.sync({ query, key: ['id'], mode });
  const run = newId('run');
  const load = await room.prepare(sync, run, { destination: plain });
  await room.attempt(run, load, { destination: plain });
  const request = { run, load: load.loadId };
  const finishNear = async (): Promise<unknown> => {
    const near = open(proxy.port);
    const finished = await near.finish(request).catch((error: unknown) => error);
    await near.close();
    return finished;
  };
  return { sync, run, load, finish: () => plain.finish(request), finishNear };
}

/** Of the messages that publishing sends, calls back with the one of that number, counted from the first; a promise holds it. */
function atMessage(number: number, strike: () => 'pass' | 'cut' | Promise<unknown>): void {
  let sent = 0;
  proxy.intercept('toServer', () => (++sent === number ? strike() : 'pass'));
}

/** How many messages a publishing is. One of them names its session, by which it is terminated. */
async function countMessages(way: Way): Promise<number> {
  const copied = await copyWith(way);
  const said: string[] = [];
  const hearNoMore = proxy.hear('toServer', (chunk) => said.push(chunk.toString('latin1')));
  await copied.finishNear();
  hearNoMore();
  expect(said).toContainEqual(expect.stringMatching(/application_name\W+'?penstock:lod_[\w-]+:finish/));
  return said.length;
}

/** What the destination holds is before or after; the next one finishes it, once. */
async function expectFinished({ after }: Way, { run, load, finish }: Copied): Promise<void> {
  const found = await targetRows();
  expect([old, after]).toContainEqual(found);
  expect((await finish()).receipt).toMatchObject({ read: 300 });
  expect(await targetRows()).toEqual(after);
  expect(await plain.closeRun(run)).toMatchObject({ succeeded: true });
  expect(await finish()).toMatchObject({ receipt: { read: 300 } });
  expect(await targetRows()).toEqual(after);
  const left = await ask(
    `select relname from pg_class where relname ~ '(lod|idx)_[0-9a-f]' and relkind in ('r', 'i')
     union all select load from _penstock.lease where load = '${load.loadId}' and run is not null`,
  );
  expect(left).toEqual([]);
  await waitUntil('the end of all transactions', async () => {
    const sql = `select from pg_stat_activity where application_name like 'penstock:%' and xact_start is not null`;
    return (await ask(sql)).length === 0;
  });
}

/** Breaks the publishing off as its message of that number is sent. */
const faults = {
  'the message is not sent': (number: number) => atMessage(number, () => 'cut'),
  'its answer does not come': (number: number) => {
    let isDue = false;
    proxy.intercept('toClient', () => (isDue ? 'cut' : 'pass'));
    return atMessage(number, () => {
      isDue = true;
      return 'pass';
    });
  },
  'its session is terminated': (number: number) =>
    atMessage(number, () =>
      ask(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'penstock:%:finish'`,
      ),
    ),
} as const;

/** Publishes by the proxy, which freezes at the message of that number. Resolves to what thaws it and waits for the end. */
async function freezeAt(number: number, { finishNear }: Copied): Promise<() => Promise<void>> {
  const frozen = new Promise<void>((resolve) => {
    atMessage(number, () => {
      proxy.freeze();
      resolve();
      return 'pass';
    });
  });
  const ended = finishNear();
  await Promise.race([frozen, ended]);
  return async () => {
    proxy.mend();
    proxy.thaw();
    await ended;
  };
}

const seconds = 1_000;

/** What a seed decides: what is published, and when the fault strikes. */
async function roll(seed: number): Promise<{ way: Way; moment: () => number }> {
  const dice = rollDice(seed);
  const way = ways[dice.oneOf(Object.keys(ways) as (keyof typeof ways)[])];
  const messages = await countMessages(way);
  return { way, moment: () => dice.between(1, messages) };
}

describe('publishing a whole load', () => {
  test.each(faultSeeds)(
    'breaks off between any two steps, and is finished once (seed %i)',
    async (seed) => {
      const { way, moment } = await roll(seed);
      for (const strike of Object.values(faults)) {
        const copied = await copyWith(way);
        strike(moment());
        await copied.finishNear();
        proxy.mend();
        await expectFinished(way, copied);
      }
    },
    60 * seconds,
  );

  test.each(faultSeeds)(
    'is in hand when the destination crashes, and is finished once it is back (seed %i)',
    async (seed) => {
      const { way, moment } = await roll(seed);
      const copied = await copyWith(way);
      let crashed: Promise<void> | undefined;
      atMessage(moment(), () => {
        crashed = stack.postgres.kill('SIGQUIT');
        return 'pass';
      });
      await copied.finishNear();
      await crashed;
      await stack.postgres.start();
      proxy.mend();
      // The idle connection of before is gone.
      await plain.check().catch(() => {});
      await expectFinished(way, copied);
    },
    60 * seconds,
  );

  test.each(faultSeeds)(
    'freezes: another publishes, and the first, thawed, publishes nothing more (seed %i)',
    async (seed) => {
      const { way, moment } = await roll(seed);
      const copied = await copyWith(way);
      const thaw = await freezeAt(moment(), copied);
      const { receipt } = await copied.finish();
      expect(receipt).toMatchObject({ read: 300 });
      await thaw();
      await expectFinished(way, copied);
    },
    60 * seconds,
  );

  test.each(faultSeeds)(
    'freezes, and its run is made final: published before that or not at all (seed %i)',
    async (seed) => {
      const { way, moment } = await roll(seed);
      const copied = await copyWith(way);
      const thaw = await freezeAt(moment(), copied);
      const { succeeded } = await plain.closeRun(copied.run);
      const found = await targetRows();
      expect(found).toEqual(succeeded ? way.after : old);
      await thaw();
      expect(await targetRows()).toEqual(found);
      const next = newId('run');
      const load = await room.prepare(copied.sync, next, { destination: plain });
      if (!succeeded) expect(load).toMatchObject({ loadId: copied.load.loadId, continued: true });
      await plain.resetSync(copied.sync.id, { deleteRows: false });
    },
    60 * seconds,
  );
});

test('a worker that freezes with the target locked keeps readers away for seconds only', async () => {
  const way = ways['a replacement by swap'];
  const copied = await copyWith(way);
  let isLocking = false;
  const locked = new Promise<void>((resolve) => {
    proxy.intercept('toServer', (chunk) => {
      isLocking ||= chunk.includes('in access exclusive mode');
      return 'pass';
    });
    proxy.intercept('toClient', () => {
      if (isLocking) proxy.freeze();
      if (isLocking) resolve();
      return 'pass';
    });
  });
  const first = copied.finishNear();
  await Promise.race([locked, first]);
  expect(await targetRows()).toEqual(old);
  proxy.mend();
  proxy.thaw();
  await first;
  await expectFinished(way, copied);
}, 60_000);
