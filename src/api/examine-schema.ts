/** What the API answers about a sync's two databases. */
import { z } from 'zod';
import { errorTable, type ErrorCode } from '../domain/errors.ts';
import { conversions, cursorFates, loadFates } from '../domain/sync-plan.ts';
import { rowFaults } from '../domain/verify-report.ts';
import { timestamp } from './common-schema.ts';

const rows = z.number();

export const verifyBody = z.strictObject({
  maxExamples: z.int().min(0).max(1_000).default(20).describe('Keys of so many rows that differ are told.'),
  maxSeconds: z
    .int()
    .min(1)
    .max(240)
    .default(60)
    .describe('After this long it says what it has found so far.'),
});

export const verifyReport = z
  .object({
    equal: z.boolean().describe('Nothing differs, and everything was compared.'),
    complete: z.boolean().describe('false: out of time, or too many differences to list.'),
    sourceRows: rows,
    destinationRows: rows,
    missing: rows.describe('At the source, not in the target.'),
    extra: rows.describe('In the target, not at the source.'),
    different: rows.describe('On both sides with one key, in other values.'),
    duplicated: rows.describe('More rows of a key than the source has.'),
    pending: rows.describe('Changed at the source past the cursor: the next run brings them.'),
    rejected: rows.describe('Refused by the target, and kept as rejects.'),
    deduplicated: rows.describe('Rows of the source that share a key, of which the target has one.'),
    examples: z.array(
      z.object({ fault: z.enum(rowFaults), key: z.string().describe('As SQL prints a row: `(17,eu)`.') }),
    ),
    loadedAt: timestamp.describe('When the load was finished that is compared.'),
    unfinished: z.boolean().describe('Another load is in progress: what it has written may show here.'),
  })
  .meta({ id: 'VerifyReport', description: 'What comparing a sync’s source with its target has found.' });

const why = z.string();

export const syncPlan = z
  .object({
    ok: z.boolean().describe('Nothing is known that a run would be refused for.'),
    refusals: z
      .array(
        z.object({
          code: z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]),
          message: z.string(),
          pointer: z.string().nullable().describe('The member of the spec to change.'),
          cure: z.string(),
        }),
      )
      .describe('All of them; what could not be looked at because of one is not there.'),
    warnings: z.array(z.string()),
    read: z
      .object({
        reader: z.enum(['copy', 'cursor']),
        format: z.enum(['binary', 'text']),
        resumes: z.boolean().describe('false: each attempt begins with the first row again.'),
        why,
        order: z.array(z.string()),
        estimatedRows: z.number().nullable(),
        sorts: z.boolean().describe('The source sorts the whole result, at every attempt.'),
      })
      .nullable(),
    key: z
      .object({
        columns: z.array(z.string()),
        unique: z.boolean().describe('Proven from the source’s catalog.'),
        mayBeNull: z.boolean(),
        consequence: z.string(),
      })
      .nullable(),
    columns: z.array(
      z.object({
        name: z.string(),
        mapped: z.string().nullable().describe('How it is made of the query’s column; null: as it is.'),
        sourceType: z.string(),
        targetType: z.string().nullable(),
        conversion: z.enum(conversions),
        textBecause: z.string().nullable().describe('Why it cannot travel as binary.'),
      }),
    ),
    target: z
      .object({
        table: z.string(),
        exists: z.boolean(),
        estimatedRows: z.number().nullable(),
        ddl: z.array(z.string()).describe('What will be executed to make it.'),
      })
      .nullable(),
    locks: z.array(z.object({ on: z.string(), lock: z.string(), when: z.string() })),
    deletes: z
      .object({ expected: z.number().nullable().describe('null: not known before all is read.'), why })
      .nullable(),
    cursor: z.object({ column: z.string(), becomes: z.enum(cursorFates), why }).nullable(),
    unfinishedLoad: z
      .object({ loadId: z.string(), rows, becomes: z.enum(loadFates), why })
      .nullable()
      .describe('Of an earlier run.'),
  })
  .meta({ id: 'SyncPlan', description: 'What a run would do, and all that it would be refused for.' });
