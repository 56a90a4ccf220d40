/**
 * The protocol that everybody writes first: ask whether the batch has been done, then do it. Kept to show that the tests
 * of the real one would notice: a zombie that asked before its replacement committed doubles the rows.
 */
import { Client } from 'pg';
import type { ConnectionAccess } from '../../src/ports/connection.ts';

interface NaiveBatch {
  insertAndCommit(select: string): Promise<void>;
}

export interface CheckThenInsert {
  /** Asks for the newest batch: the attempt goes on from what it heard. */
  begin(): Promise<NaiveBatch>;
  close(): Promise<void>;
}

export async function openCheckThenInsert(
  admin: Client,
  access: ConnectionAccess,
  load: string,
): Promise<CheckThenInsert> {
  await admin.query('create table if not exists naive_progress (load text, batch integer)');
  const clients: Client[] = [];
  return {
    begin: async () => {
      const { host, port, user, password, database } = access;
      const client = new Client({ host, port, user, password, database });
      await client.connect();
      clients.push(client);
      const { rows } = await client.query<{ newest: number }>(
        'select coalesce(max(batch), 0) as newest from naive_progress where load = $1',
        [load],
      );
      const next = rows[0]!.newest + 1;
      return {
        insertAndCommit: async (select) => {
          await client.query('begin');
          await client.query(`insert into target ${select}`);
          await client.query('insert into naive_progress values ($1, $2)', [load, next]);
          await client.query('commit');
        },
      };
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.end()));
    },
  };
}
