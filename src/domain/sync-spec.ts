/**
 * The sync spec: what a user writes, as JSON over HTTP. One zod schema is the source of the types, of validation, of
 * OpenAPI and of docs/sync-spec.md. Shapes that need a database to check (columns, permissions) are checked by plan.
 */
import { z } from 'zod';
import { columnMappingSchema } from './column-mapping-spec.ts';
import { durationSchema } from './duration-spec.ts';
import { scheduleSchema } from './schedule-spec.ts';
import { targetScopeSchema } from './target-scope-spec.ts';
import { writeModeNames } from './write-modes.ts';

/** Names of tenants, connections and syncs: they become part of workflow ids, so they are slugs. */
export const nameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_-]{0,62}$/,
    'lower-case letters, digits, "-" and "_", at most 63, starting with a letter or digit',
  );

const sizeUnits = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** `16MiB`, `512KiB` … as bytes; undefined when the text is no size. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d{1,12})(B|KiB|MiB|GiB)$/.exec(text);
  return match ? Number(match[1]) * sizeUnits[match[2] as keyof typeof sizeUnits] : undefined;
}

const size = z
  .string()
  .refine((t) => parseSizeBytes(t) !== undefined, 'a whole number with a unit, such as 16MiB');

/** The rows that a worker holds at once, those of all its runs together; a batch is held until it is committed. */
export const heldRowsMiB = 64;

const identifier = z.string().min(1).max(63);

const limitsSchema = z.strictObject({
  batchRows: z.int().min(1).max(10_000_000).default(50_000).describe('Rows between two checkpoints.'),
  batchBytes: size
    .refine(
      (t) => !(parseSizeBytes(t)! > heldRowsMiB * sizeUnits.MiB),
      `at most ${heldRowsMiB}MiB, which is what a worker holds of rows at once`,
    )
    .refine((t) => parseSizeBytes(t) !== 0, 'more than nothing')
    .default('16MiB')
    .describe(`Bytes between two checkpoints, whichever comes first; at most ${heldRowsMiB}MiB.`),
  parallel: z.int().min(1).max(16).default(1).describe('Ranges of the key that are copied at once.'),
  maxDuration: durationSchema
    .optional()
    .describe('Work longer than this is cancelled; the next run goes on with it.'),
  maxDeletePercent: z
    .number()
    .min(0)
    .max(100)
    .default(20)
    .describe(
      'A mirror or a replacement that would delete more of the rows in the target stops before it deletes any.',
    ),
  maxRejects: z
    .int()
    .min(0)
    .max(10_000)
    .default(0)
    .describe('Rows that a load may leave out because the target refuses them; one more stops the run.'),
});

/** What a user writes to create a sync. */
export const syncSpecSchema = z.strictObject({
  name: nameSchema.describe('Unique in the tenant.'),
  labels: z
    .record(z.string().max(63), z.string().max(255))
    .optional()
    .describe('Kept and answered; nothing else.'),
  source: z.strictObject({
    connection: z.string().min(1).max(80).describe('Id or name.'),
    query: z.string().min(1).max(100_000).describe('One SELECT; may hold placeholders such as `{{cursor}}`.'),
  }),
  destination: z.strictObject({
    connection: z.string().min(1).max(80).describe('Id or name.'),
    table: z
      .string()
      .regex(/^[^".\0\p{Cs}]{1,63}(\.[^".\0\p{Cs}]{1,63})?$/u, '`table` or `schema.table`, without quotes')
      .describe('`table` or `schema.table`; made when it does not exist.'),
  }),
  mode: z.enum(writeModeNames),
  key: z
    .array(identifier)
    .max(16)
    .default([])
    .describe(
      'Columns, as they arrive, that identify a row. For upsert and mirror; lets append and replace resume.',
    ),
  scope: targetScopeSchema
    .optional()
    .describe(
      'Columns of the target and their value in every row of this sync, which shares the table with others that have other values.',
    ),
  keepPrevious: z
    .boolean()
    .optional()
    .describe('Replace only: the table before stays as `<table>_previous`.'),
  cursor: z
    .strictObject({
      column: identifier.describe('Only rows with a later value than at the last load are read.'),
      lookback: durationSchema.optional().describe('Reads so much again, for values that arrive late.'),
      lag: durationSchema.optional().describe('How long to wait for transactions that are open; 10s.'),
    })
    .optional(),
  columns: columnMappingSchema.optional(),
  deletedWhen: identifier
    .optional()
    .describe(
      'Upsert only: a column of the result that says that the row’s key is gone, when it is true or, not being boolean, not NULL. Written only where the target has it.',
    ),
  softDelete: identifier
    .optional()
    .describe('A column of the target, boolean or a timestamp, that marks rows instead of deleting them.'),
  schedule: scheduleSchema.default({ manual: true }),
  priority: z.int().min(1).max(5).default(3).describe('1 waits the least.'),
  overlap: z
    .enum(['skip', 'buffer_one', 'buffer_all', 'cancel_other'])
    .default('skip')
    .describe(
      'Of due times that pass while a run is open: none, one or all of them wait for it to end, or it is cancelled.',
    ),
  catchUp: z
    .strictObject({
      window: durationSchema.default('1h').describe('A due time that is later than this is missed.'),
      policy: z
        .enum(['one', 'all', 'none'])
        .default('one')
        .describe(
          'Of due times that have passed unseen: the newest runs, each does (with overlap buffer_all), or none.',
        ),
    })
    .default({ window: '1h', policy: 'one' }),
  skipIfUnchanged: z
    .string()
    .min(1)
    .max(10_000)
    .optional()
    .describe(
      'One SELECT of the source, such as `select max(updated_at), count(*) from users`: a due time at which its result is what it was for the last run is skipped. Not with a cursor.',
    ),
  autoPause: z
    .strictObject({
      after: z
        .int()
        .min(1)
        .max(1_000)
        .describe('So many runs that fail one after the other pause the sync, until it is resumed.'),
    })
    .optional(),
  onSchemaChange: z
    .enum(['fail', 'add_columns'])
    .default('fail')
    .describe(
      'Of a column that the result has and the target has not: the run fails, or the target gets it.',
    ),
  limits: limitsSchema.prefault({}),
});

/** A complete spec: defaults filled in. This is what sync_version.spec holds. */
export type SyncSpec = z.infer<typeof syncSpecSchema>;
export type SyncSpecInput = z.input<typeof syncSpecSchema>;
