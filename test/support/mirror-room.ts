/** A source of a hundred people, and mirrors of them. */
import { expect } from '@jest/globals';
import { createPipeRoom, rowsAsText, type PipeRoom, type SyncInput, type TestSync } from './pipe-room.ts';

export interface MirrorRoom extends PipeRoom {
  /** A sync in mode mirror of all people into `target`. */
  mirroring(more?: Partial<SyncInput>): TestSync;
  /** Fills the source again and drops the target. */
  renew(): Promise<void>;
  /** Adds people with these ids, both ends included. */
  fill(from: number, to: number): Promise<void>;
  /** Takes people out of the source. */
  remove(where: string): Promise<void>;
  /** The target's rows, or those of them, are the source's. */
  expectEqual(where?: string): Promise<void>;
}

const query = 'select * from people';

export async function createMirrorRoom(): Promise<MirrorRoom> {
  const room = await createPipeRoom();
  const fill = async (from: number, to: number) => {
    await room.from.query(
      `insert into people select i, 'name ' || i from generate_series(${from}, ${to}) as i`,
    );
  };
  return {
    ...room,
    mirroring: (more = {}) => room.sync({ query, key: ['id'], mode: 'mirror', ...more }),
    renew: async () => {
      await room.to.query('drop table if exists target cascade');
      await room.from.query('drop table if exists people');
      await room.from.query('create table people (id integer primary key, name text)');
      await fill(1, 100);
    },
    fill,
    remove: async (where) => {
      await room.from.query(`delete from people where ${where}`);
    },
    expectEqual: async (where = 'true') =>
      expect(await rowsAsText(room.to, `select id, name from target where ${where}`)).toEqual(
        await rowsAsText(room.from, query),
      ),
  };
}
