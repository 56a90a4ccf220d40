/** softDelete: rows are marked instead of deleted, and live again when their key comes back. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import { createMirrorRoom, type MirrorRoom } from '../../support/mirror-room.ts';

let room: MirrorRoom;
beforeAll(async () => {
  room = await createMirrorRoom();
});
afterAll(() => room.close());
beforeEach(() => room.renew());

describe('a mirror', () => {
  const live = 'deleted_at is null';

  test('rows that are gone get a time, and lose it when they come again; both are counted', async () => {
    const sync = room.mirroring({ softDelete: 'deleted_at' });
    await room.run(sync);
    await room.from.query('create table kept as select * from people where id <= 5');
    await room.remove('id <= 5');
    expect(await room.run(sync)).toMatchObject({ unchanged: 95, deleted: 5 });
    await room.expectEqual(live);
    expect((await room.to.query(`select from target where not ${live}`)).rowCount).toBe(5);
    expect(await room.run(sync)).toMatchObject({ unchanged: 95, deleted: 0 });
    await room.from.query('insert into people select * from kept; drop table kept');
    expect(await room.run(sync)).toMatchObject({ unchanged: 95, updated: 5, deleted: 0 });
    await room.expectEqual();
    await room.expectEqual(live);
  });

  test('a boolean column does as well', async () => {
    await room.to.query('create table target (id integer primary key, name text, gone boolean)');
    const sync = room.mirroring({ softDelete: 'gone' });
    await room.run(sync);
    await room.remove('id = 5');
    expect(await room.run(sync)).toMatchObject({ deleted: 1 });
    await room.expectEqual('gone is not true');
    await room.fill(5, 5);
    expect(await room.run(sync)).toMatchObject({ updated: 1 });
    await room.expectEqual('gone is not true');
  });

  test('rows that are marked already are no part of what the guard counts', async () => {
    const sync = room.mirroring({ softDelete: 'deleted_at', limits: { maxDeletePercent: 50 } });
    await room.run(sync);
    await room.remove('id > 50');
    await room.run(sync);
    await room.remove('id > 20');
    await expect(room.run(sync)).rejects.toMatchObject({ meta: { wouldDelete: 30, of: 50 } });
  });

  test.each([
    ['the result has it', 'name', null, 'BAD_REQUEST'],
    ['the target does not have it', 'gone', 'id integer primary key, name text', 'TARGET_MISMATCH'],
    ['its type can mark nothing', 'gone', 'id integer primary key, name text, gone int', 'TARGET_MISMATCH'],
  ])('a column is refused when %s', async (_, softDelete, columns, code) => {
    if (columns !== null) await room.to.query(`create table target (${columns})`);
    const prepared = room.prepare(room.mirroring({ softDelete }), newId('run'));
    await expect(prepared).rejects.toMatchObject({ code, pointer: '/softDelete' });
  });
});
