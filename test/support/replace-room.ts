/** A source of a thousand numbers and a target beside them, for tests that replace one by the other. */
import { expect } from '@jest/globals';
import { Client } from 'pg';
import { createPipeRoom, rowsAsText, type PipeRoom, type SyncInput, type TestSync } from './pipe-room.ts';

export interface ReplaceRoom extends PipeRoom {
  /** A sync in mode replace of all numbers into `target`. */
  replacing(more?: Partial<SyncInput>): TestSync;
  /** Fills the source again and empties the destination's schema `public`. */
  renew(): Promise<void>;
  /** A target that is there, with 900 rows whose labels begin with `old`. */
  createTarget(columns?: string): Promise<void>;
  targetRows(table?: string): Promise<string[]>;
  oidOf(table: string): Promise<string>;
  /** The target has the source's rows, and nothing of a closed load is left. */
  expectReplaced(): Promise<void>;
  /** A session of somebody else at the destination, under this name. */
  connect(name: string): Promise<Client>;
}

const query = 'select id, label from numbers';

export async function createReplaceRoom(): Promise<ReplaceRoom> {
  const room = await createPipeRoom();
  await room.from.query('create table numbers (id integer primary key, label text not null)');
  const targetRows = (table = 'target') => rowsAsText(room.to, `select id, label from ${table}`);
  return {
    ...room,
    replacing: (more = {}) => room.sync({ query, key: ['id'], mode: 'replace', ...more }),
    renew: async () => {
      await room.from.query('truncate numbers');
      await room.from.query(`insert into numbers select i, 'row ' || i from generate_series(1, 1000) as i`);
      await room.to.query('drop schema public cascade; create schema public');
    },
    createTarget: async (columns = 'id integer primary key, label text') => {
      await room.to.query(`create table target (${columns})`);
      await room.to.query(`insert into target select i, 'old ' || i from generate_series(1, 900) as i`);
    },
    targetRows,
    oidOf: async (table) => {
      const sql = 'select to_regclass($1)::oid::text as oid';
      return (await room.to.query<{ oid: string }>(sql, [table])).rows[0]!.oid;
    },
    expectReplaced: async () => {
      expect(await targetRows()).toEqual(await rowsAsText(room.from, query));
      const { rows } = await room.to.query(
        `select relname from pg_class left join _penstock.load on id = relname
          where phase in ('done', 'abandoned') or (relname ~ '^(lod|idx)_' and relnamespace = 'public'::regnamespace)`,
      );
      expect(rows).toEqual([]);
    },
    connect: async (name) => {
      const client = new Client({ ...room.destinationAccess, application_name: name });
      client.on('error', () => {});
      await client.connect();
      return client;
    },
  };
}
