/** Reading runs, their progress and their events. */
import { PenstockError } from '../domain/errors.ts';
import type { RunId } from '../domain/ids.ts';
import type { Run, RunEvent, RunFilter } from '../ports/run-control.ts';
import type { Page, PageRequest } from '../ports/scope.ts';
import { afterNumber, afterTimeAndId, cutPage } from './pages.ts';
import { describeRetry, type RetryColumn } from './run-retry.ts';
import { fromMicros, isoOf, microsOf } from './sql-text.ts';
import type { Tx } from './transaction.ts';

/** Receipts from before there were tombstones do not name them. */
const withAllCounts = `'{"tombstones": 0}'::jsonb || r.receipt`;

const columns = `r.id, r.tenant_id as "tenantId", r.sync_id as "syncId", s.name as "syncName",
  r.sync_version as "syncVersion", r.origin, r.status, r.waiting_reason as "waitingReason",
  r.end_reason as "endReason", r.priority, r.backfill_id as "backfillId",
  ${isoOf('r.nominal_at')} as "nominalAt", ${isoOf('r.due_at')} as "dueAt",
  ${isoOf('r.queued_at')} as "queuedAt", ${isoOf('r.started_at')} as "startedAt", ${isoOf('r.ended_at')} as "endedAt",
  r.workflow_id as "workflowId",
  case when r.error_code is not null
    then json_build_object('code', r.error_code, 'message', r.error_message) end as error,
  r.retry, coalesce(r.paused_steps, '[]') as "pausedSteps", ${withAllCounts} as receipt, a.progress, a.attempts, ${microsOf('r.queued_at')} as micros`;

/** Sums of its attempts. */
const tables = `penstock.sync s, lateral (
    select count(*)::int as attempts,
      json_build_object('rows', coalesce(sum(rows), 0), 'bytes', coalesce(sum(bytes), 0),
        'batches', coalesce(sum(batches), 0)) as progress
    from penstock.run_attempt where run_id = r.id) a`;

type RunRow = Omit<Run, 'retry'> & { retry: RetryColumn | null; micros: string };

const runOf = ({ micros: _micros, retry, ...run }: RunRow): Run => ({
  ...run,
  retry: retry && describeRetry(retry),
});

/** NOT_FOUND when the role sees no such run. */
export async function fetchRun(tx: Tx, runId: string): Promise<Run> {
  const { rows } = await tx.query<RunRow>(
    `select ${columns} from penstock.run r, ${tables} where r.id = $1 and s.id = r.sync_id`,
    [runId],
  );
  if (!rows[0]) throw new PenstockError('NOT_FOUND', `there is no run ${runId}`);
  return runOf(rows[0]);
}

/** Newest first. */
export async function listRuns(tx: Tx, filter: RunFilter, page: PageRequest): Promise<Page<Run>> {
  const { micros, id } = afterTimeAndId('run', page);
  const { rows } = await tx.query<RunRow>(
    `select ${columns}
     from (
       select * from penstock.run
       where ($1::text is null or sync_id = $1) and ($2::text[] is null or status = any ($2))
         and ($3::text is null or origin = $3)
         and ($4::bigint is null or (queued_at, id) < (${fromMicros('$4::bigint')}, $5))
       order by queued_at desc, id desc limit $6
     ) r, ${tables}
     where s.id = r.sync_id
     order by r.queued_at desc, r.id desc`,
    [filter.syncId ?? null, filter.status ?? null, filter.origin ?? null, micros, id, page.limit + 1],
  );
  const { items, next } = cutPage(rows, page, (row) => `${row.micros}~${row.id}`);
  return { items: items.map(runOf), next };
}

/** Oldest first. */
export async function listRunEvents(tx: Tx, runId: RunId, page: PageRequest): Promise<Page<RunEvent>> {
  const { rows } = await tx.query<RunEvent>(
    `select id::text, ${isoOf('at')} as at, kind, data from penstock.event
     where run_id = $1 and id > $2::bigint order by event.id limit $3`,
    [runId, afterNumber(page) ?? '0', page.limit + 1],
  );
  return cutPage(rows, page, (row) => row.id);
}
