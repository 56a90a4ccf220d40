/** Attempts of a run at a partition: one row each, kept current while it copies. Their sums are the run's progress. */
import type { RunId } from '../domain/ids.ts';
import type { RunAttempt } from '../ports/run-control.ts';
import type { AttemptCounts, AttemptEnd, AttemptKey } from '../ports/run-store.ts';
import type { Page, PageRequest } from '../ports/scope.ts';
import { cutMessage } from './cut-message.ts';
import { afterTwoNumbers, cutPage } from './pages.ts';
import { isoOf } from './sql-text.ts';
import type { Tx } from './transaction.ts';

/** Records that an attempt begins; repeated, it changes nothing. */
export async function insertAttempt(tx: Tx, attempt: AttemptKey & { worker: string }): Promise<void> {
  await tx.query(
    `with prepared as (update penstock.run set retry = null where id = $1 and retry->>'step' = 'prepare')
     insert into penstock.run_attempt (run_id, partition, epoch, tenant_id, worker)
     select id, $2, $3, tenant_id, $4 from penstock.run where id = $1
     on conflict (run_id, partition, epoch) do nothing`,
    [attempt.runId, attempt.partition, attempt.epoch, attempt.worker],
  );
}

/** The run moves; what its partition failed with is overcome where it got further. */
const moved = (gotFurther: string): string => `
  update penstock.run set moved_at = clock_timestamp(),
    retry = case when retry->>'step' = 'partition ' || $2::integer and (${gotFurther}) then null else retry end
  where id = $1 and ended_at is null`;

/** Records what the attempt has committed so far (never less than before), and that the run moves. */
export async function updateAttempt(tx: Tx, attempt: AttemptKey, counts: AttemptCounts): Promise<void> {
  await tx.query(
    `with moved as (${moved('$6 > 0')})
     update penstock.run_attempt
     set rows = greatest(rows, $4), bytes = greatest(bytes, $5), batches = greatest(batches, $6)
     where run_id = $1 and partition = $2 and epoch = $3 and ended_at is null`,
    [attempt.runId, attempt.partition, attempt.epoch, counts.rows, counts.bytes, counts.batches],
  );
}

/** Records how the attempt ended; the first end counts. */
export async function finishAttempt(tx: Tx, attempt: AttemptKey, end: AttemptEnd): Promise<void> {
  await tx.query(
    `with moved as (${moved(`$6 > 0 or $7 = 'finished'`)})
     update penstock.run_attempt
     set rows = greatest(rows, $4), bytes = greatest(bytes, $5), batches = greatest(batches, $6), outcome = $7,
         error_code = $8, error_class = $9, error_message = $10,
         ended_at = clock_timestamp()
     where run_id = $1 and partition = $2 and epoch = $3 and ended_at is null`,
    [
      attempt.runId,
      attempt.partition,
      attempt.epoch,
      end.rows,
      end.bytes,
      end.batches,
      end.outcome,
      end.error?.code ?? null,
      end.error?.class ?? null,
      end.error ? cutMessage(end.error.message) : null,
    ],
  );
}

/** By their epochs, which rise as the workflow calls them; the newest first. */
export async function listAttempts(tx: Tx, runId: RunId, page: PageRequest): Promise<Page<RunAttempt>> {
  const [epoch, partition] = afterTwoNumbers(page);
  const { rows } = await tx.query<RunAttempt>(
    `select partition, epoch::text, worker, ${isoOf('started_at')} as "startedAt", ${isoOf('ended_at')} as "endedAt",
       outcome, rows::float8, bytes::float8, batches,
       case when paced_by is not null
         then json_build_object('rowsPerSecond', rows_share, 'bytesPerSecond', bytes_share) end as share,
       case when error_code is not null
         then json_build_object('code', error_code, 'message', error_message) end as error
     from penstock.run_attempt a
     where run_id = $1 and ($2::bigint is null or (a.epoch, partition) < ($2, $3::integer))
     order by a.epoch desc, partition desc limit $4`,
    [runId, epoch, partition, page.limit + 1],
  );
  return cutPage(rows, page, (row) => `${row.epoch}~${row.partition}`);
}
