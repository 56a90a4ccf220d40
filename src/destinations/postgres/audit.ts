/** Whether what is kept here agrees with itself, and with what the control database keeps of the same runs. Reads only. */
import type { BrokenInvariant } from '../../domain/maintenance.ts';
import type { RecordedReceipt } from '../../ports/destination.ts';
import type { Sql } from './destination-session.ts';
import { leftLeases } from './orphans.ts';

/** Findings of a kind: many have one cause. */
const most = 20;

/** A finding each, a bounded number of a kind. */
export async function audit(sql: Sql, recorded: readonly RecordedReceipt[]): Promise<BrokenInvariant[]> {
  const loads = await sql<{ id: string }>(mismatchedLoads);
  const runs = await sql<{ id: string }>(mismatchedRuns, [JSON.stringify(recorded)]);
  const leases = await sql<{ id: string }>(
    `select l.load || '/' || l.partition as id from ${leftLeases} limit ${most}`,
  );
  return [
    ...[...loads, ...runs].map(({ id }) => ({ invariant: 'receipt_adds_up' as const, object: id })),
    ...leases.map(({ id }) => ({ invariant: 'lease_has_load' as const, object: id })),
  ];
}

const counts = ['inserted', 'updated', 'unchanged', 'deduplicated', 'rejected', 'tombstones'] as const;

/** Receipts of the last days, while their checkpoints are still there, against the sum of those. */
const mismatchedLoads = `
  select l.id from _penstock.load l
    join lateral (
      select sum(rows) as read, count(*) as batches, sum(bytes) as bytes,
             ${counts.map((count) => `sum(${count}) as ${count}`).join(', ')}
        from _penstock.checkpoint c where c.load = l.id) s on s.batches > 0
   where l.phase = 'done' and l.closed_at > now() - interval '2 days'
     and (${['read', 'batches', 'bytes', ...counts].map((count) => `coalesce((l.receipt->>'${count}')::numeric, 0) <> s.${count}`).join(' or ')}
       or (l.receipt->>'read')::numeric <> ${counts.map((count) => `s.${count}`).join(' + ')})
   limit ${most}`;

/** What a run's row says was read, against the loads that it names; those that are forgotten prove nothing. */
const mismatchedRuns = `
  select r.run as id from json_to_recordset($1) r (run text, loads json, read numeric)
    join lateral (
      select sum((l.receipt->>'read')::numeric) as read, count(*) as loads from _penstock.load l
       where l.id in (select json_array_elements_text(r.loads)) and l.phase = 'done') s
      on s.loads = json_array_length(r.loads)
   where r.read <> s.read
   limit ${most}`;
