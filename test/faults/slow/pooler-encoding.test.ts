/** Behind pgbouncer a session begins as the pooler logged in, so its encoding may be the database's instead of ours. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { openPostgresDestination } from '../../../src/destinations/postgres/postgres-destination.ts';
import { KeptSessions } from '../../../src/postgres-client/kept-sessions.ts';
import { execute } from '../../support/execute.ts';
import { createPipeRoom, type PipeRoom, urlOf } from '../../support/pipe-room.ts';
import { startPooler } from '../support/pooler.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
});
afterAll(() => room.close());

test('text keeps its letters in a LATIN1 database behind a pooler, by new sessions and by used ones', async () => {
  await room.from.query(
    `create table words as select i as id, 'café ' || i as "lettré" from generate_series(1, 9) i`,
  );
  const database = `${room.destinationAccess.database}_latin`;
  const server = urlOf(room.destinationAccess);
  const url = Object.assign(new URL(server), { pathname: `/${database}` }).href;
  await execute(server, `create database ${database} encoding 'LATIN1' locale 'C' template template0`);
  const pooler = await startPooler({ [database]: url });
  const { host, port } = pooler;
  const sessions = new KeptSessions({ waitMs: 60_000 });
  const direct = new Client({ connectionString: url });
  try {
    const sync = room.sync({ query: 'select * from words', key: ['id'], mode: 'upsert' });
    const runOnce = async () => {
      const access = { ...room.destinationAccess, host, port, database, tenantId: 'ten_one' };
      const destination = openPostgresDestination(access, { sessions });
      const receipt = await room.run(sync, { destination });
      await destination.close();
      return receipt;
    };
    expect(await runOnce()).toMatchObject({ inserted: 9 });
    expect(await runOnce()).toMatchObject({ inserted: 0, updated: 0, unchanged: 9 });
    await direct.connect();
    const { rows } = await direct.query('select "lettré" as word from target order by id limit 1');
    expect(rows).toEqual([{ word: 'café 1' }]);
  } finally {
    await direct.end();
    await sessions.close();
    await pooler.stop();
    await execute(server, `drop database ${database} with (force)`);
  }
}, 60_000);
