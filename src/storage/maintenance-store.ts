/** The control database as maintenance sees it (src/ports/maintenance-store.ts): one transaction of the engine's role each. */
import type { Pool } from 'pg';
import type { ConnectionId, RunId } from '../domain/ids.ts';
import type { BrokenInvariant, MaintenanceJob, Tally } from '../domain/maintenance.ts';
import type { RecordedReceipt } from '../ports/destination.ts';
import type { MaintenanceStore } from '../ports/maintenance-store.ts';
import type { RunAtWork } from '../ports/schedule-store.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import { fetchConnectionAccess } from './connection-access.ts';
import { atWork } from './run-conditions.ts';
import { forgetLogs, forgetRuns } from './retention.ts';
import { fetchPlaceless } from './sweep-queries.ts';
import { asEngine, type Tx } from './transaction.ts';

/** The store over a pool whose login may take the role penstock_engine. */
export const createMaintenanceStore = (pool: Pool, secretBox: SecretBox): MaintenanceStore => ({
  forgetLogs: () => asEngine(pool, forgetLogs),
  forgetRuns: (afterSync) => asEngine(pool, (tx) => forgetRuns(tx, afterSync)),
  listDestinations: (after) => asEngine(pool, (tx) => listDestinations(tx, after)),
  fetchAccess: (id) => fetchConnectionAccess(pool, secretBox, id),
  listEnded: (runs) => asEngine(pool, (tx) => listEnded(tx, runs)),
  listReceipts: (destination) => asEngine(pool, (tx) => listReceipts(tx, destination)),
  listStill: () => asEngine(pool, listStill),
  listPlaceless: (runs) => asEngine(pool, (tx) => fetchPlaceless(tx, runs)),
  noteEnd: (job, tally, broken) =>
    asEngine(pool, async (tx) => {
      await saveEnd(tx, job, tally);
      await noteBroken(tx, broken);
    }),
});

async function listDestinations(tx: Tx, after: string): Promise<ConnectionId[]> {
  const { rows } = await tx.query<{ id: ConnectionId }>(
    `select id from penstock.connection
     where id > $1 and deleted_at is null
       and id in (select spec->'destination'->>'connection' from penstock.sync_version)
     order by id limit 100`,
    [after],
  );
  return rows.map(({ id }) => id);
}

async function listEnded(tx: Tx, runs: readonly RunId[]): Promise<RunId[]> {
  const { rows } = await tx.query<{ id: RunId }>(
    `select id from penstock.run where id = any($1) and ended_at < clock_timestamp() - interval '10 minutes'`,
    [runs],
  );
  return rows.map(({ id }) => id);
}

async function listReceipts(tx: Tx, destination: ConnectionId): Promise<RecordedReceipt[]> {
  const { rows } = await tx.query<RecordedReceipt>(
    `select r.id as run, r.load_ids as loads, (r.receipt->>'read')::float8 as read
     from penstock.sync_version v join penstock.run r on r.sync_id = v.sync_id and r.sync_version = v.version
     where (v.spec->'destination'->>'connection') collate "C" = $1 and r.status = 'succeeded'
       and r.queued_at > clock_timestamp() - interval '2 days'
     order by r.queued_at desc limit 500`,
    [destination],
  );
  return rows;
}

async function listStill(tx: Tx): Promise<RunAtWork[]> {
  const { rows } = await tx.query<RunAtWork>(
    `select id as "runId", workflow_id as "workflowId" from penstock.run
     where status in ${atWork}
       and moved_at < clock_timestamp() - interval '10 minutes'
     order by moved_at limit 100`,
  );
  return rows;
}

const saveEnd = (tx: Tx, job: MaintenanceJob, tally: Tally): Promise<unknown> =>
  tx.query(
    `insert into penstock.maintenance (job, tally) values ($1, $2)
     on conflict (job) do update set ended_at = clock_timestamp(), tally = excluded.tally`,
    [job, JSON.stringify(tally)],
  );

/** An event names the run and its tenant, where the object is one, and not one that its finder never wrote. */
const noteBroken = (tx: Tx, broken: readonly BrokenInvariant[]): Promise<unknown> =>
  tx.query(
    `insert into penstock.event (tenant_id, kind, sync_id, run_id, data)
     select r.tenant_id, 'invariant.broken', r.sync_id, r.id,
       jsonb_build_object('invariant', b.invariant, 'object', b.object)
     from jsonb_to_recordset($1) b (invariant text, object text, destination text)
     left join penstock.run r on r.id = b.object and (b.destination is null or exists (
       select from penstock.sync_version v
       where v.sync_id = r.sync_id and v.version = r.sync_version
         and v.spec->'destination'->>'connection' = b.destination))
     where not exists (
       select from penstock.event e
       where e.kind = 'invariant.broken' and e.at > clock_timestamp() - interval '1 day'
         and e.data->>'object' = b.object and e.data->>'invariant' = b.invariant
         and e.run_id is not distinct from r.id)`,
    [JSON.stringify(broken)],
  );
