/** P1, P2: a destination that takes nothing for a while says why, and the next attempt goes on where the last one ended. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId, type RunId } from '../../src/domain/ids.ts';
import type { Destination, OpenLoad } from '../../src/ports/destination.ts';
import type { SyncSpec } from '../../src/domain/sync-spec.ts';
import type { PipeRoom } from '../support/pipe-room.ts';
import { waitUntil } from '../support/wait-until.ts';
import { expectExact } from './support/expect-exact.ts';
import { createItemRoom, itemQuery } from './support/items.ts';

const rows = 600;
const limits = { rows: 100, bytes: 16 * 1024 * 1024, timeMs: 60_000 };

let room: PipeRoom;
/** As the login `name`, which is not a superuser. */
let writing: Destination;
let name: string;
let somebody: Client;
let run: RunId;
let load: OpenLoad;
beforeAll(async () => {
  room = await createItemRoom(rows);
  const { database, host, port, user, password } = room.destinationAccess;
  name = `writer_${database}`;
  await room.to.query(
    `create role ${name} login password 'first'; alter database ${database} owner to ${name}`,
  );
  writing = as('first');
  somebody = new Client({ host, port, user, password, database, application_name: 'somebody else' });
  await somebody.connect();
});
afterAll(async () => {
  await Promise.all([writing.close(), somebody.end()]);
  await room.to.query(
    `drop owned by ${name}; alter database ${room.destinationAccess.database} owner to postgres`,
  );
  await room.to.query(`drop role ${name}`);
  await room.close();
});

const as = (password: string): Destination =>
  room.openDestination({ access: { user: name, password }, timeouts: { lockMs: 300 } });

/** A load of which two batches are committed. */
async function begin(mode: SyncSpec['mode']): Promise<void> {
  await room.to.query('drop table if exists target; drop schema if exists _penstock cascade');
  await writing.ensureSchema();
  run = newId('run');
  load = await room.prepare(room.sync({ query: itemQuery, key: ['id'], mode }), run, {
    destination: writing,
  });
  let isEnough = false;
  const begun = await room.attempt(run, load, {
    destination: writing,
    limits,
    drain: () => isEnough,
    onProgress: ({ batches }) => (isEnough = batches >= 2),
  });
  expect(begun).toMatchObject({ outcome: 'yielded' });
}

const attempt = (destination = writing) => room.attempt(run, load, { destination, limits });

async function expectGoesOn(destination = writing): Promise<void> {
  expect(await attempt(destination)).toMatchObject({ outcome: 'finished' });
  await expectExact(room, { run, load, query: itemQuery, destination });
}

describe('a target that somebody else has locked', () => {
  test('is written once he lets go; until then he is named', async () => {
    await begin('append');
    await somebody.query('begin; lock table target in share mode');
    await expect(attempt()).rejects.toMatchObject({
      code: 'TARGET_LOCKED',
      message: expect.stringMatching(
        /public\.target could not be written: session \d+ \(application_name "somebody else"\) holds ShareLock/,
      ),
    });
    await somebody.query('rollback');
    await expectGoesOn();
  });

  test('row by row, too', async () => {
    await begin('upsert');
    await room.to.query(`insert into target values (550, 'his')`);
    await somebody.query(`begin; update target set label = 'his' where id = 550`);
    expect(await attempt()).toMatchObject({
      outcome: 'yielded',
      error: {
        code: 'TARGET_LOCKED',
        message: expect.stringContaining('(application_name "somebody else")'),
      },
    });
    await somebody.query('commit');
    await expectGoesOn();
  });

  test('in another order than ours: of a deadlock the batch is the victim, and is written again', async () => {
    await begin('upsert');
    await room.to.query(`insert into target values (410, 'his'), (490, 'his')`);
    const patient = room.openDestination({ access: { user: name, password: 'first' } });
    // Who has waited for a second looks for a deadlock: we do, he does not.
    await somebody.query(
      `set deadlock_timeout = '1min'; begin; update target set label = 'his' where id = 490`,
    );
    const deadlocked = attempt(patient);
    await waitUntil('the batch waits for his row', async () => {
      const sql = `select from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'penstock:%'`;
      return (await room.to.query(sql)).rowCount === 1;
    });
    await somebody.query(`update target set label = 'his' where id = 410`);
    expect(await deadlocked).toMatchObject({
      outcome: 'yielded',
      error: { code: 'DESTINATION_BUSY', message: expect.stringContaining('deadlock detected') },
    });
    await somebody.query('commit');
    await patient.close();
    await expectGoesOn();
  });
});

describe('a login', () => {
  beforeEach(() => begin('append'));

  test('without a connection left is tried again: DESTINATION_BUSY', async () => {
    await room.to.query(`alter role ${name} connection limit 0`);
    const another = as('first');
    await expect(attempt(another)).rejects.toMatchObject({
      code: 'DESTINATION_BUSY',
      message: expect.stringContaining('too many connections'),
    });
    await another.close();
    await room.to.query(`alter role ${name} connection limit -1`);
    await expectGoesOn();
  });

  test('whose password was changed is refused, and says so; with the new one the load goes on', async () => {
    await room.to.query(`alter role ${name} password 'second'`);
    const [old, renewed] = [as('first'), as('second')];
    await expect(attempt(old)).rejects.toMatchObject({
      code: 'DESTINATION_AUTH',
      message: expect.stringContaining('password authentication failed'),
    });
    await expectGoesOn(renewed);
    await Promise.all([old.close(), renewed.close()]);
    await room.to.query(`alter role ${name} password 'first'`);
  });
});
