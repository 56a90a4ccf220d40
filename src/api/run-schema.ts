/** Runs in the API. */
import { z } from 'zod';
import {
  attemptOutcomes,
  pausableSteps,
  runOrigins,
  runStatuses,
  waitingReasons,
} from '../domain/run-states.ts';
import { durationSchema } from '../domain/duration-spec.ts';
import { onRunningWays } from '../domain/trigger.ts';
import { instant, pageQuery, ref, requestKey, timestamp } from './common-schema.ts';

const count = z.number();

export const receipt = z
  .object({
    read: count,
    inserted: count,
    updated: count,
    unchanged: count,
    deduplicated: count,
    rejected: count,
    tombstones: count.describe('Rows that say that their key is gone.'),
    deleted: count,
    batches: count,
    bytes: count,
  })
  .meta({
    id: 'Receipt',
    description:
      'Final numbers: read = inserted + updated + unchanged + deduplicated + rejected + tombstones.',
  });

/** Of a connection, or what somebody has of it. */
const readRate = z.object({
  rowsPerSecond: z.number().nullable().describe('null: any number.'),
  bytesPerSecond: z.number().nullable().describe('Of rows, as COPY encodes them; null: any number.'),
});

const runError = z.object({ code: z.string(), message: z.string().nullable(), cure: z.string() });

export const run = z
  .object({
    id: z.string(),
    tenantId: z.string(),
    syncId: z.string(),
    syncName: z.string(),
    syncVersion: z.int(),
    origin: z.enum(runOrigins),
    status: z.enum(runStatuses),
    waitingReason: z.enum(waitingReasons).nullable(),
    endReason: z.string().nullable().describe('Why it was cancelled: requested, missed, sync_deleted …'),
    priority: z.int(),
    backfillId: z.string().nullable().describe('Of which it is a part.'),
    nominalAt: timestamp.nullable(),
    dueAt: timestamp,
    queuedAt: timestamp,
    startedAt: timestamp.nullable(),
    endedAt: timestamp.nullable(),
    workflowId: z.string(),
    error: runError.nullable(),
    retry: z
      .object({
        step: z.string().describe('prepare, partition 1 …, finish or close.'),
        code: z.string(),
        message: z.string(),
        cure: z.string(),
        times: z.int().describe('In a row, without getting any further.'),
        since: timestamp,
        nextAt: timestamp.describe('The next try.'),
      })
      .nullable()
      .describe('What it has failed with and tries again by itself.'),
    pausedSteps: z
      .array(
        z.object({
          step: z.enum(pausableSteps),
          activityId: z.string().describe('In Temporal.'),
          by: z.string(),
          reason: z.string(),
          since: timestamp,
        }),
      )
      .describe(
        'What somebody has paused of it in Temporal, seen within a minute: it rests until it is unpaused there, or until the run is cancelled, or paused and resumed here.',
      ),
    receipt: receipt.nullable(),
    progress: z.object({ rows: count, bytes: count, batches: count }),
    attempts: z.int(),
    links: z.object({ self: z.string(), sync: z.string(), temporal: z.string().optional() }),
  })
  .meta({ id: 'Run', description: 'One execution of a sync.' });

export const accepted = z.object({ id: z.string(), status: z.enum(runStatuses) }).meta({ id: 'Accepted' });

export const explanation = z
  .object({
    runId: z.string(),
    status: z.enum(runStatuses),
    reason: z
      .enum(waitingReasons)
      .nullable()
      .describe('null: it waits for nothing; it is at work, about to be, paused, or final.'),
    until: timestamp.nullable().describe('When that ends, where a time says so.'),
    position: z
      .int()
      .nullable()
      .describe('Its place among all that wait: 1 is next, if nothing comes and no cap is in the way.'),
    places: z.object({ held: z.int(), cap: z.int() }).nullable().describe('Those that it waits for.'),
    workerClass: z
      .string()
      .nullable()
      .describe('With `no_worker`: the class of workers that lacks one; null: the common workers.'),
    holders: z
      .array(
        z.object({
          runId: z.string(),
          syncName: z.string(),
          status: z.enum(runStatuses),
          startedAt: timestamp.nullable(),
        }),
      )
      .describe('Runs of yours that have what it waits for, at most 20.'),
    pace: z
      .object({
        connection: z.string().describe('The name of its source.'),
        limit: readRate,
        attempts: z.int().describe('How many share it, a partition each; of runs that you may see.'),
        share: readRate.describe('What this run has of it.'),
      })
      .nullable()
      .describe('How fast it may read now, where its source’s read rate is limited.'),
  })
  .meta({ id: 'RunExplanation' });

const priority = z.int().min(1).max(5).describe('1 first … 5 last');

export const runChange = z.strictObject({ priority }).meta({ id: 'RunChange' });

export const triggerBody = z.strictObject({
  priority: priority.optional(),
  at: instant.optional().describe('When it is due; a time that has passed means now.'),
  in: durationSchema.optional().describe('After how long it is due.'),
  onRunning: z
    .enum(onRunningWays)
    .optional()
    .describe(
      'While a run of the sync is open: queue (default): one run waits behind it, and answers every trigger until it starts; join: the run at work answers; reject: 409.',
    ),
  debounce: z
    .strictObject({
      key: z.string().min(1).max(200),
      for: durationSchema.describe(
        'It is due when the key has been quiet for so long, or after ten times that.',
      ),
    })
    .optional()
    .describe('Triggers with one key are one run.'),
  requestKey: requestKey.describe(
    'The same key gives the same run, whoever sends it. Default: the Idempotency-Key, else a random one.',
  ),
});

/** `status=running,queued` or `status=running&status=queued`. */
const statusFilter = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (Array.isArray(value) ? value : value.split(',')))
  .pipe(z.array(z.enum(runStatuses)).min(1).max(runStatuses.length));

export const runsQuery = pageQuery.extend({
  syncId: ref.optional().describe('Id or name of a sync.'),
  status: statusFilter.optional(),
  origin: z.enum(runOrigins).optional(),
});

export const runEvent = z
  .object({
    id: z.string(),
    at: timestamp,
    kind: z.string(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'RunEvent' });

export const runAttempt = z
  .object({
    partition: z.int(),
    epoch: z.string().describe('A whole number; rises from one attempt at a partition to the next.'),
    worker: z.string(),
    startedAt: timestamp,
    endedAt: timestamp.nullable(),
    outcome: z.enum(attemptOutcomes).nullable().describe('null: it is copying, or its worker has died.'),
    rows: count,
    bytes: count,
    batches: count,
    share: readRate
      .nullable()
      .describe('What it may read of its source’s rate, or last might; null: there is no limit.'),
    error: runError.nullable(),
  })
  .meta({ id: 'RunAttempt', description: 'One attempt at a partition of a run, with what it committed.' });
