/** Why a run is not at work: its rows, then what index and engine say of it (src/domain/explain-run.ts). */
import type { Pool } from 'pg';
import { hasCode, PenstockError } from '../domain/errors.ts';
import { explainRun, type EngineState, type RowFacts } from '../domain/explain-run.ts';
import type { ConnectionId, RunId, TenantId } from '../domain/ids.ts';
import type { WaitingReason } from '../domain/run-states.ts';
import type { PlaceHolder, RunExplainer } from '../ports/run-explainer.ts';
import type { RunStarter } from '../ports/run-starter.ts';
import type { WaitingIndex } from '../ports/schedule-index.ts';
import { inScope } from './in-scope.ts';
import { fetchPace } from './read-share.ts';
import {
  coversNow,
  holdsPlace,
  isBlocked,
  pausedReason,
  waitsToGoOn,
  workerClassOfRun,
} from './run-conditions.ts';
import { isoOf } from './sql-text.ts';
import type { Tx } from './transaction.ts';

interface ExplainerDeps {
  /** Of a login that may take the roles penstock_api and penstock_operator. */
  readonly pool: Pool;
  readonly index: WaitingIndex;
  readonly starter: Pick<RunStarter, 'hasWorker'>;
}

/** An explainer over ports that it does not own. */
export function createRunExplainer({ pool, index, starter }: ExplainerDeps): RunExplainer {
  const engineState = async (workerClass: string | null): Promise<EngineState> => {
    try {
      if (!(await starter.hasWorker())) return 'no_worker';
      return workerClass === null || (await starter.hasWorker(workerClass)) ? 'there' : 'no_class_worker';
    } catch (error) {
      if (hasCode(error, 'ENGINE_UNREACHABLE')) return 'unreachable';
      throw error;
    }
  };
  return {
    explain: async (scope, ref) => {
      const run = await inScope(pool, scope, (tx) => fetchFacts(tx, ref));
      const [waiting, engine] = await Promise.all([
        index.explainRun(run).catch((error: unknown) => {
          if (hasCode(error, 'UNAVAILABLE')) return null;
          throw error;
        }),
        engineState(run.workerClass),
      ]);
      const { inMs, ...explanation } = explainRun(run, waiting, engine);
      return inScope(pool, scope, async (tx) => ({
        runId: run.runId,
        status: run.status,
        ...explanation,
        until: inMs === null ? null : new Date(run.nowMs + inMs).toISOString(),
        holders: await fetchHolders(tx, run.runId, explanation.reason),
        pace: await fetchPace(tx, run.runId),
      }));
    },
  };
}

interface Facts extends RowFacts {
  readonly runId: RunId;
  readonly tenantId: TenantId;
  readonly connectionId: ConnectionId;
  readonly nowMs: number;
}

const msFromNow = (time: string): string =>
  `(extract(epoch from ${time} - clock_timestamp()) * 1000)::float8`;

/** A connection that the scope may not see counts as one of a new connection's limits. */
async function fetchFacts(tx: Tx, runId: string): Promise<Facts> {
  const { rows } = await tx.query<Facts>(
    `select r.id as "runId", r.tenant_id as "tenantId", r.source_connection_id as "connectionId", r.status,
       (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs",
       (r.status = 'queued' or ${waitsToGoOn}) as "wantsPlace", r.paused_steps is not null as "isStepPaused",
       ${msFromNow('r.due_at')} as "dueInMs",
       (select json_build_object('reason', paused.reason, 'endsInMs',
          (select ${msFromNow('max(p.until_at)')} from penstock.pause p
           where ${coversNow} having bool_and(p.until_at is not null)))
        from (select ${pausedReason} as reason) paused where paused.reason is not null and r.status = 'queued') as pause,
       (r.status = 'queued' and ${isBlocked}) as "isBlocked",
       ${workerClassOfRun} as "workerClass", coalesce(${msFromNow('c.cool_until')}, 0) as "coolForMs",
       json_build_object('cap', t.max_runs, 'held', (select count(*) from penstock.run o
         where o.tenant_id = r.tenant_id and ${holdsPlace.replace('r.', 'o.')})) as tenant,
       json_build_object('cap', coalesce(c.max_runs, 4), 'held', (select count(*) from penstock.run o
         where o.source_connection_id = r.source_connection_id and ${holdsPlace.replace('r.', 'o.')})) as connection
     from penstock.run r
     join penstock.tenant t on t.id = r.tenant_id
     join penstock.sync_version v on v.sync_id = r.sync_id and v.version = r.sync_version
     left join penstock.connection c on c.id = r.source_connection_id
     left join penstock.connection d on d.id = v.spec->'destination'->>'connection'
     where r.id = $1`,
    [runId],
  );
  if (!rows[0]) throw new PenstockError('NOT_FOUND', `there is no run ${runId}`);
  return rows[0];
}

/** Which other runs `o` have what the run `r` waits for, by the reason. */
const holdersOf: Partial<Record<WaitingReason, string>> = {
  previous_run: `o.sync_id = r.sync_id and o.id <> r.id and o.ended_at is null
    and (o.status <> 'queued' or o.nominal_at < r.nominal_at
      or r.origin = 'backfill' and o.origin <> 'backfill' and o.due_at <= clock_timestamp())`,
  global_cap: holdsPlace.replace('r.', 'o.'),
  tenant_cap: `o.tenant_id = r.tenant_id and ${holdsPlace.replace('r.', 'o.')}`,
  connection_cap: `o.source_connection_id = r.source_connection_id and ${holdsPlace.replace('r.', 'o.')}`,
};

async function fetchHolders(tx: Tx, runId: RunId, reason: WaitingReason | null): Promise<PlaceHolder[]> {
  const condition = reason && holdersOf[reason];
  if (!condition) return [];
  const { rows } = await tx.query<PlaceHolder>(
    `select o.id as "runId", s.name as "syncName", o.status, ${isoOf('o.started_at')} as "startedAt"
     from penstock.run r, penstock.run o join penstock.sync s on s.id = o.sync_id
     where r.id = $1 and ${condition} order by o.due_at, o.id limit 20`,
    [runId],
  );
  return rows;
}
