/** Backfills in the API. */
import { z } from 'zod';
import { backfillStatuses, runStatuses } from '../domain/run-states.ts';
import { pageQuery, ref, requestKey, timestamp } from './common-schema.ts';

const value = z.string().min(1).max(100);

export const backfillBody = z.strictObject({
  from: value.describe('Rows whose cursor is above it are read: a value as the source writes it.'),
  to: value.describe('Up to and with it.'),
  every: value
    .nullable()
    .default(null)
    .describe('How much one run reads: a duration such as 1d, or a whole number; null: all of it.'),
  requestKey: requestKey.describe(
    'The same key gives the same backfill of the sync. Default: the Idempotency-Key, else a random one.',
  ),
});

export const backfillsQuery = pageQuery.extend({ syncId: ref.optional().describe('Id or name.') });

export const backfill = z
  .object({
    id: z.string(),
    tenantId: z.string(),
    syncId: z.string(),
    syncName: z.string(),
    from: z.string(),
    to: z.string(),
    every: z.string().nullable(),
    status: z.enum(backfillStatuses),
    parts: z.int(),
    done: z.int().describe('Parts that have succeeded.'),
    rows: z.number().describe('Rows that they have read.'),
    current: z
      .object({
        part: z.int(),
        from: z.string(),
        to: z.string(),
        runId: z.string(),
        status: z.enum(runStatuses),
      })
      .describe('The part that is queued or at work, or was the last.'),
    createdAt: timestamp,
    endedAt: timestamp.nullable(),
  })
  .meta({ id: 'Backfill', description: 'A stretch of a sync’s cursor that is read again, part by part.' });
