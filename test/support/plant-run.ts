/** Runs as plain rows, in whatever state a test wants, and the receipts of those that have succeeded. */
import type { Pool } from 'pg';
import { newId, type RunId } from '../../src/domain/ids.ts';
import type { Receipt } from '../../src/domain/run-states.ts';

/**
 * Writes a manual run of a sync's present version, queued and due for a second, but for what `columns` say by their names
 * in the table.
 */
export async function plantRun(
  pool: Pool,
  syncId: string,
  columns: Readonly<Record<string, unknown>> & { readonly id?: RunId } = {},
): Promise<RunId> {
  const { rows } = await pool.query(
    `select id as sync_id, version as sync_version, tenant_id, source_connection_id, 'manual' as origin, 3 as priority,
       date_trunc('ms', clock_timestamp()) - interval '1 second' as due_at
     from penstock.sync where id = $1`,
    [syncId],
  );
  const id = columns.id ?? newId('run');
  const row = { ...rows[0], id, workflow_id: id, ...columns };
  const names = Object.keys(row);
  await pool.query(
    `insert into penstock.run (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')})`,
    Object.values(row),
  );
  return id;
}

/** Of a run that read nothing, but for what is given. */
export const aReceipt = (over: Partial<Receipt> = {}): Receipt => ({
  read: 0,
  inserted: 0,
  updated: 0,
  unchanged: 0,
  deduplicated: 0,
  rejected: 0,
  tombstones: 0,
  deleted: 0,
  batches: 0,
  bytes: 0,
  ...over,
});
