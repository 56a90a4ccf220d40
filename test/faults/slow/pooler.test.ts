/** P1–P4 behind pgbouncer in transaction mode, before both ends: no statement may count on the session of the one before. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { execute } from '../../support/execute.ts';
import { startPenstock } from '../../support/penstock-process.ts';
import { copyAndSurvive } from '../support/copy-and-survive.ts';
import { createFaultRoom, type FaultRoom } from '../support/fault-room.ts';
import { faultModes } from '../support/mode-cases.ts';
import { startPooler } from '../support/pooler.ts';
import { faultSeeds } from '../support/seeds.ts';

let room: FaultRoom;
beforeAll(async () => {
  room = await createFaultRoom({ pooled: true });
}, 60_000);
afterAll(() => room.close(), 60_000);

describe('a copy by a pooler', () => {
  test.each(faultModes.flatMap((mode) => faultSeeds.map((seed) => [mode, seed] as const)))(
    'in mode %s, struck at random, ends with every row once, its counts right, and nothing left behind (seed %i)',
    (mode, seed) => copyAndSurvive(room, mode, seed),
    120_000,
  );

  test('leaves the only connection to others in its midst, though rows are always at hand', async () => {
    await room.renew();
    await execute(room.sourceUrl, 'create table many as select i as id from generate_series(1, 5000) as i');
    await execute(room.destinationUrl, 'create table target (id integer)');
    const { pathname } = new URL(room.destinationUrl);
    const pooler = await startPooler({ [pathname.slice(1)]: room.destinationUrl }, 1);
    const to = Object.assign(new URL(room.destinationUrl), { port: pooler.port }).href;
    const other = new Client({ connectionString: to });
    try {
      await other.connect();
      const copy = startPenstock(
        ['copy', '--from', room.sourceUrl, '--to', to, '--json', '--mode', 'append', '--key', 'id'].concat([
          '--query',
          'select id from many',
          '--table',
          'target',
          '--batch-rows',
          '10',
        ]),
      );
      const seen = new Set<number>();
      while (copy.process.exitCode === null) {
        const { rows } = await other.query<{ n: number }>('select count(*)::integer as n from target');
        seen.add(rows[0]!.n);
      }
      const ended = await copy.ended;
      expect([ended.code, ended.code === 0 ? '' : ended.stderr]).toEqual([0, '']);
      expect([...seen].filter((rows) => rows > 0 && rows < 5000).length).toBeGreaterThan(1);
    } finally {
      await other.end();
      await pooler.stop();
    }
  });
});
