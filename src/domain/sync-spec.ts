/**
 * The sync spec: what a user writes, in JSON over HTTP or in YAML for the CLI. One zod schema is the source of the
 * types, of validation and of OpenAPI. Shapes that need a database to check (columns, permissions) are checked by plan.
 */
import { z } from 'zod';
import { columnMappingSchema } from './column-mapping-spec.ts';

/** Names of tenants, connections and syncs: they become part of workflow ids, so they are slugs. */
export const nameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_-]{0,62}$/,
    'lower-case letters, digits, "-" and "_", at most 63, starting with a letter or digit',
  );

const durationUnits = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `90s`, `5m`, `24h` … as milliseconds; undefined when the text is no duration. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
  return match ? Number(match[1]) * durationUnits[match[2] as keyof typeof durationUnits] : undefined;
}

const sizeUnits = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** `16MiB`, `512KiB` … as bytes; undefined when the text is no size. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d{1,12})(B|KiB|MiB|GiB)$/.exec(text);
  return match ? Number(match[1]) * sizeUnits[match[2] as keyof typeof sizeUnits] : undefined;
}

const duration = z
  .string()
  .refine((t) => parseDurationMs(t) !== undefined, 'a whole number with a unit, such as 90s, 5m, 24h or 7d');
const size = z
  .string()
  .refine((t) => parseSizeBytes(t) !== undefined, 'a whole number with a unit, such as 16MiB');

const cronSchedule = z.strictObject({
  cron: z.string().min(1).max(256),
  timezone: z.string().min(1).max(64).default('UTC'),
  /** Six fields, seconds first. */
  seconds: z.boolean().optional(),
});
const everySchedule = z.strictObject({
  every: duration,
  startAt: z.iso.datetime({ offset: true }).optional(),
});
const atSchedule = z.strictObject({ at: z.iso.datetime({ offset: true }) });
const manualSchedule = z.strictObject({ manual: z.literal(true) });

export const scheduleSchema = z.union([cronSchedule, everySchedule, atSchedule, manualSchedule]);
export type Schedule = z.infer<typeof scheduleSchema>;

const identifier = z.string().min(1).max(63);

const limitsSchema = z.strictObject({
  batchRows: z.int().min(1).max(10_000_000).default(50_000),
  batchBytes: size.default('16MiB'),
  /** Partitions copied at once. */
  parallel: z.int().min(1).max(16).default(1),
  maxDuration: duration.optional(),
  /** Of the rows that the target has, a mirror deletes as many at most; else it stops before it deletes any. A replacement likewise. */
  maxDeletePercent: z.number().min(0).max(100).default(20),
  /** Rows that a load may leave out because the target refuses them; one more stops the run. */
  maxRejects: z.int().min(0).max(10_000).default(0),
});

/** What a user writes to create a sync. */
export const syncSpecSchema = z.strictObject({
  name: nameSchema,
  labels: z.record(z.string().max(63), z.string().max(255)).optional(),
  source: z.strictObject({
    /** id or name of a connection */
    connection: z.string().min(1).max(80),
    /** One SELECT; may hold placeholders (`./placeholders.ts`). */
    query: z.string().min(1).max(100_000),
  }),
  destination: z.strictObject({
    connection: z.string().min(1).max(80),
    /** `table` or `schema.table` */
    table: z.string().regex(/^[^".\0]{1,63}(\.[^".\0]{1,63})?$/, '`table` or `schema.table`, without quotes'),
  }),
  mode: z.enum(['append', 'upsert', 'mirror', 'replace']),
  /** Columns, as they arrive, that identify a row; required by upsert and mirror, and by append and replace to be resumable. */
  key: z.array(identifier).max(16).default([]),
  /** Replace only: the table before stays as `<table>_previous`. */
  keepPrevious: z.boolean().optional(),
  cursor: z
    .strictObject({ column: identifier, lookback: duration.optional(), lag: duration.optional() })
    .optional(),
  columns: columnMappingSchema.optional(),
  /**
   * A column of the result that says that the row's key is gone: when it is true (boolean), or not NULL (any other). With
   * upsert. It is written only where the target has such a column.
   */
  deletedWhen: identifier.optional(),
  /** A column of the target, boolean or a timestamp, that marks rows instead of deleting them. */
  softDelete: identifier.optional(),
  schedule: scheduleSchema.default({ manual: true }),
  priority: z.int().min(1).max(5).default(3),
  overlap: z.enum(['skip']).default('skip'),
  catchUp: z
    .strictObject({ window: duration.default('1h'), policy: z.enum(['one']).default('one') })
    .default({ window: '1h', policy: 'one' }),
  /** Of a column that the result has and the target has not: the run fails, or the target gets it. */
  onSchemaChange: z.enum(['fail', 'add_columns']).default('fail'),
  limits: limitsSchema.prefault({}),
});

/** A complete spec: defaults filled in. This is what sync_version.spec holds. */
export type SyncSpec = z.infer<typeof syncSpecSchema>;
export type SyncSpecInput = z.input<typeof syncSpecSchema>;
