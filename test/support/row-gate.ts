/** Holds a copy in the middle of a batch, for as long as a test wants. */
import type { Pool } from 'pg';

export interface RowGate {
  /** Whether a copy stands at it. */
  reached(): Promise<boolean>;
  open(): Promise<void>;
  /** Opens it, and ends its session. */
  close(): void;
}

/**
 * The table is made, and whoever inserts the row of that id stands still until the gate opens.
 * @param columns of the table, as its sync would make them
 */
export async function gateRow(
  destination: Pool,
  { table, columns, id }: { table: string; columns: string; id: number },
): Promise<RowGate> {
  const client = await destination.connect();
  await client.query(`
    create table synced.${table} (${columns});
    create function synced.${table}_gate() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock_shared(${id}); return new; end $$;
    create trigger gate before insert on synced.${table} for each row when (new.id = ${id})
      execute function synced.${table}_gate();
    select pg_advisory_lock(${id})`);
  return {
    reached: async () => {
      const { rowCount } = await client.query(
        `select from pg_locks where locktype = 'advisory' and not granted and objid = $1
           and database = (select oid from pg_database where datname = current_database())`,
        [id],
      );
      return rowCount! > 0;
    },
    open: async () => {
      await client.query(`select pg_advisory_unlock(${id})`);
    },
    close: () => client.release(true),
  };
}
