/** Syncs in the API: the spec as users write it, and around it what Penstock knows of it. */
import { z } from 'zod';
import { cursorIsFor, resetWays } from '../domain/reset-ways.ts';
import { slotOutcomes } from '../domain/run-states.ts';
import { receipt } from './run-schema.ts';
import { scheduleSchema, upstreamEnds } from '../domain/schedule-spec.ts';
import { syncSpecSchema } from '../domain/sync-spec.ts';
import { instant, pageQuery, ref, tenantQuery, tenantRef, timestamp } from './common-schema.ts';

const known = {
  id: z.string(),
  tenantId: z.string(),
  version: z.int(),
  status: z.enum(['active', 'broken']),
  brokenReason: z.string().nullable(),
  pause: z
    .object({ id: z.string(), reason: z.string().nullable(), since: timestamp, until: timestamp.nullable() })
    .nullable()
    .describe('Its own pause; tenants and the installation have pauses of theirs.'),
  nextNominalAt: timestamp.nullable(),
  nextDueAt: timestamp.nullable().describe('nextNominalAt, or later by jitter or because it was moved.'),
  nextIsSkipped: z.boolean().describe('The next due time will be recorded, and not run.'),
  createdAt: timestamp,
  updatedAt: timestamp,
};

export const sync = z
  .object({ ...known, ...syncSpecSchema.shape })
  .meta({ id: 'Sync', description: 'A saved query, its destination, mode and schedule.' });

export const newSync = syncSpecSchema.extend({ tenantId: tenantRef }).meta({ id: 'NewSync' });

/** What an answer holds beside the spec may come back with it, and is not looked at. */
export const changedSync = z.preprocess(withoutKnown, syncSpecSchema).meta({
  id: 'ChangedSync',
  description: 'The whole spec; what an answer holds beside it is not looked at.',
});

function withoutKnown(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  return Object.fromEntries(Object.entries(body).filter(([name]) => !Object.hasOwn(known, name)));
}

export const syncPatch = z
  .record(z.string(), z.unknown())
  .meta({ id: 'SyncPatch', description: 'JSON merge patch (RFC 7396) of the spec: null removes a member.' });

export const syncsQuery = pageQuery.extend({ name: ref.optional(), connectionId: ref.optional() });

export const resetBody = z.strictObject({
  how: z
    .enum(resetWays)
    .default('reset')
    .describe(
      `reset: the next run reads everything; accept: rows of an unfinished append are kept as they are; keep: the cursor is kept although its ${cursorIsFor} has changed.`,
    ),
  deleteRows: z.boolean().default(false).describe('Also empties the target. Only with reset.'),
});

export const resetPreview = z
  .object({
    id: z.string(),
    unfinished: z
      .object({
        loadId: z.string(),
        mode: z.string(),
        staged: z.boolean().describe('None of its rows can be seen yet: accept would keep none.'),
        committed: receipt,
      })
      .nullable(),
    cursorMovedAt: timestamp.nullable().describe('null: the next run reads from the beginning anyway.'),
    tables: z
      .array(z.object({ table: z.string(), rows: z.number(), shared: z.boolean() }))
      .describe('What deleteRows would empty; a shared table is refused.'),
  })
  .meta({ id: 'ResetPreview', description: 'What a reset of the sync would meet.' });

export const nextQuery = tenantQuery.extend({ count: z.coerce.number().int().min(1).max(100).default(5) });

const nominalAt = instant
  .nullable()
  .default(null)
  .describe('`nextNominalAt` as it was read: refused when another one is next by now.');
export const skipBody = z.strictObject({
  skip: z.boolean().default(true).describe('false: it is to run after all.'),
  nominalAt,
});
export const moveBody = z.strictObject({
  to: instant.nullable().describe('Before the due time after it; null: at its time again.'),
  nominalAt,
});

export const previewBody = z.strictObject({
  schedule: scheduleSchema,
  from: instant.optional().describe('Times after this one; now.'),
  count: z.int().min(1).max(1_000).default(5),
});

export const fireTimes = z.object({
  items: z.array(timestamp),
  after: z
    .object({ sync: z.string(), when: z.enum(upstreamEnds) })
    .nullable()
    .describe('The sync after whose runs it is due: nobody knows when.'),
});

export const slot = z
  .object({
    nominalAt: timestamp,
    nominalTo: timestamp.describe('The last due time of a stretch with the same outcome.'),
    syncVersion: z.int(),
    runId: z.string().nullable(),
    outcome: z.enum(slotOutcomes).nullable().describe('null: its run still waits.'),
  })
  .meta({ id: 'Slot', description: 'A due time of a sync and what became of it.' });

export const cadenceQuery = tenantQuery.extend({
  last: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(100)
    .describe('So many due times, the newest ones.'),
});

const seconds = z.number().nullable();

export const cadence = z
  .object({
    dueTimes: z.int(),
    from: timestamp.nullable(),
    to: timestamp.nullable(),
    outcomes: z
      .partialRecord(z.enum([...slotOutcomes, 'waiting']), z.int())
      .describe('How many due times ended how; those whose run still waits are `waiting`.'),
    succeeded: z.int().describe('How many of those that started have succeeded.'),
    askedEveryS: seconds.describe('Mean seconds from one due time to the next.'),
    ranEveryS: seconds.describe('Mean seconds from one due time that started to the next.'),
  })
  .meta({ id: 'Cadence', description: 'How often a sync runs against how often it was asked to.' });
