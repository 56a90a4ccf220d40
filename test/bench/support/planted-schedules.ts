/** Schedules as the API would have written them, by the million. */
import { newId, type TenantId } from '../../../src/domain/ids.ts';
import { syncSpecSchema } from '../../../src/domain/sync-spec.ts';
import { execute } from './servers.ts';

export interface Planting {
  readonly count: number;
  /** First fire times: this one, ms since the Unix epoch … */
  readonly fromMs: number;
  /** … and then one more each so many ms. */
  readonly apartMs: number;
  /** Each fires again after so many seconds; null: once. */
  readonly everySeconds: number | null;
  /** They are dealt among so many of their own. Default 100. */
  readonly tenants?: number;
}

/** No cap is met. */
const manyRuns = 100_000;

/** Writes tenants and schedules, evenly dealt, straight into the control database. Returns the tenants. */
export async function plantSchedules(url: string, planting: Planting): Promise<ReadonlySet<TenantId>> {
  const { count, fromMs, apartMs, everySeconds, tenants = 100 } = planting;
  const connection = newId('connection');
  const spec = syncSpecSchema.parse({
    name: 'subscribers',
    source: { connection, query: 'select 1' },
    destination: { connection, table: 'subscribers' },
    mode: 'append',
    schedule: { at: '2030-01-01T00:00:00Z' },
  });
  const firstAt = `timestamptz 'epoch' + (${fromMs} + n * ${apartMs}) * interval '1 millisecond'`;
  const iso = `to_char((${firstAt}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  const schedule =
    everySeconds === null
      ? `jsonb_build_object('at', ${iso})`
      : `jsonb_build_object('every', '${everySeconds}s', 'startAt', ${iso})`;
  const json = JSON.stringify(spec).replaceAll("'", "''");
  const planted = await execute(
    url,
    // What hangs together here is not checked row by row.
    'set session_replication_role = replica',
    `create temporary table planted as
       select n, 'syn_' || gen_random_uuid() as id, 'ten_' || md5('${connection}' || n % ${tenants})::uuid as tenant,
         'con_' || md5('${connection}' || n % ${tenants})::uuid as connection
       from generate_series(0, ${count - 1}) n`,
    `insert into penstock.tenant (id, name, max_runs) select distinct tenant, 't-' || tenant, ${manyRuns} from planted`,
    `insert into penstock.connection (id, tenant_id, name, kind, max_runs)
       select distinct connection, tenant, 'warehouse', 'postgres', ${manyRuns} from planted`,
    `insert into penstock.sync (id, tenant_id, name, source_connection_id, destination_connection_id, next_nominal_at,
       next_due_at)
       select id, tenant, 's-' || n, connection, connection, ${firstAt}, ${firstAt} from planted`,
    `insert into penstock.sync_version (sync_id, version, tenant_id, spec)
       select id, 1, tenant, jsonb_set('${json}'::jsonb, '{schedule}', ${schedule}) from planted`,
    'vacuum analyze penstock.sync',
    'vacuum analyze penstock.sync_version',
    'select distinct tenant from planted',
  );
  return new Set(planted.map(({ tenant }) => tenant as TenantId));
}
