/** A hard stop: an attempt that may commit nothing more ends, whatever a server holds it up with. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import { createPipeRoom, type PipeRoom } from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
let run: RunId;
let load: OpenLoad;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query('create table wide (id integer primary key, filler text not null)');
  await room.from.query(`insert into wide select i, repeat('x', 10000) from generate_series(1, 3000) as i`);
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target');
  run = newId('run');
  load = await room.prepare(room.sync({ query: 'select * from wide', key: ['id'] }), run);
});

/** A backend of the destination waits for a lock. */
const untilHeldUp = () =>
  waitUntil('the destination is held up', async () => {
    const { rowCount } = await room.from.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and datname = $1`,
      [room.destinationAccess.database],
    );
    return rowCount! > 0;
  });

/** Holds the lock for as long as the attempt needs to end, which is told to stop once the server waits for the lock. */
async function stopWhileHeldUp(hold: string, options: { bytes: number }): Promise<void> {
  const stop = new AbortController();
  const { signal } = stop;
  const source = openPostgresSource({ ...room.sourceAccess, signal }, room.memory);
  const destination = room.openDestination({ access: { signal }, timeouts: { lockMs: 0, statementMs: 0 } });
  await room.to.query('begin');
  await room.to.query(hold);
  const limits = { rows: 50_000, timeMs: 60_000, ...options };
  const attempt = room.attempt(run, load, { source, destination, signal, limits });
  const ended = expect(attempt).rejects.toThrow('enough');
  await untilHeldUp();
  stop.abort(new Error('enough'));
  await ended;
  await Promise.all([source.close(), destination.close()]);
  await room.to.query('rollback');
  await expect(room.attempt(run, load)).resolves.toMatchObject({ outcome: 'finished', rows: 3_000 });
}

describe('an attempt ends at once', () => {
  beforeEach(async () => {
    await room.to.query(`create or replace function wait_here() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock_shared(17); return new; end $$`);
    await room.to.query(
      'create trigger wait_here before insert on target for each row execute function wait_here()',
    );
  });

  test('while COPY takes no more rows', () =>
    stopWhileHeldUp('select pg_advisory_xact_lock(17)', { bytes: 64 * 1024 * 1024 }));

  test('while COPY works off its last rows', () =>
    stopWhileHeldUp('select pg_advisory_xact_lock(17)', { bytes: 20_000 }));

  test('while it waits for its lease', () =>
    stopWhileHeldUp('select from _penstock.lease for update', { bytes: 20_000 }));
});
