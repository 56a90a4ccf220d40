/** Connections in the API: discrete fields, because a connection string reads files, overrides hosts and sets options. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { tablePatternShape } from '../domain/connection-grant.ts';
import { targetScopeSchema } from '../domain/target-scope-spec.ts';
import { connectionKindNames } from '../domain/connection-kinds.ts';
import { workerClassRule, workerClassShape } from '../domain/worker-class.ts';
import { instant, maxRunsSchema, nameSchema, ref, tenantRef, timestamp } from './common-schema.ts';

/** A DNS name or an IP address. A path would be a Unix socket of ours. */
const host = z
  .string()
  .max(253)
  .refine(
    (text) =>
      isIP(text) !== 0 ||
      /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?$/.test(text),
    'a host name or an IP address, without port or protocol',
  );

/** What a login or database may be called: empty ones fall back to those of our own process. */
const identifier = z.string().min(1).max(63);

const tls = z
  .strictObject({
    mode: z.enum(['disable', 'require', 'verify-full']),
    ca: z
      .string()
      .min(1)
      .max(100_000)
      .optional()
      .describe('PEM of the authority; the public ones by default.'),
  })
  .refine((value) => value.ca === undefined || value.mode === 'verify-full', {
    path: ['ca'],
    message: 'only verify-full looks at it',
  });

const settings = {
  host,
  port: z.int().min(1).max(65_535),
  database: identifier,
  user: identifier,
  tls,
};

export const connection = z
  .object({
    id: z.string(),
    tenantId: z.string().nullable().describe('null: the operator’s, granted to tenants.'),
    name: z.string(),
    kind: z.string(),
    version: z.int(),
    host: z.string(),
    port: z.int(),
    database: z.string(),
    user: z.string(),
    tls: z.object({ mode: z.enum(['disable', 'require', 'verify-full']), ca: z.string().optional() }),
    maxRuns: z.int(),
    startsPerMinute: z.int().nullable(),
    rowsPerSecond: z.int().nullable(),
    bytesPerSecond: z.int().nullable(),
    coolUntil: timestamp.nullable(),
    workerClass: z.string().nullable().describe('Whose workers take its runs; null: the common ones.'),
    createdAt: timestamp,
    updatedAt: timestamp,
  })
  .meta({ id: 'Connection', description: 'A linked database. The password is never answered.' });

const password = z.string().min(1).max(1000);

const limits = {
  maxRuns: maxRunsSchema.describe('How many runs that read from it may be at work at once; 4 by default.'),
  startsPerMinute: z
    .int()
    .min(1)
    .max(60_000)
    .nullable()
    .describe('How many such runs may start a minute, evenly spread; null, the default: any number.'),
  rowsPerSecond: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .nullable()
    .describe(
      'How many rows a second are read from it, by all runs together; null, the default: any number.',
    ),
  bytesPerSecond: z
    .int()
    .min(1_024)
    .max(1_000_000_000_000)
    .nullable()
    .describe(
      'How many bytes of rows a second, as COPY encodes them, all runs together; null, the default: any number.',
    ),
};

const workerClass = z
  .string()
  .regex(workerClassShape, workerClassRule)
  .nullable()
  .describe(
    'The class of workers that take the steps of its runs, from their next start on; null, the default: the common ones. Set by operators’ keys.',
  );

export const newConnection = z
  .strictObject({
    tenantId: tenantRef,
    name: nameSchema,
    kind: z.enum(connectionKindNames),
    ...settings,
    port: settings.port.optional().describe('The usual one of the kind by default.'),
    tls: tls.default({ mode: 'verify-full' }),
    password,
    ...z.object({ ...limits, workerClass }).partial().shape,
  })
  .meta({ id: 'NewConnection' });

export const connectionChange = z
  .strictObject({
    name: nameSchema,
    ...settings,
    password,
    ...limits,
    workerClass,
    coolUntil: instant.nullable().describe('Until then no run that reads from it starts; null: they may.'),
  })
  .partial()
  .meta({ id: 'ConnectionChange', description: 'Absent members stay as they are.' });

export const testResult = z.object({
  ok: z.literal(true),
  version: z.string(),
  elapsedMs: z.number(),
});

export const grantBody = z.strictObject({
  tablePattern: z
    .string()
    .regex(tablePatternShape, 'schema.table, without quotes, with * for any characters of a name')
    .describe('`schema.table`, in which `*` stands for any characters of either name: `sync.acme_*`.'),
  scope: targetScopeSchema
    .default({})
    .describe('What every sync of the tenant has to have in its scope there: `{"tenant_id": "acme"}`.'),
  databaseRole: identifier
    .refine((name) => name !== 'none', 'none is no role: it stands for the login')
    .nullable()
    .default(null)
    .describe('Taken by `set local role` for all that is done to the tables; null: the login itself.'),
});

export const grant = z.object({
  tenantId: z.string(),
  tablePattern: z.string(),
  scope: targetScopeSchema,
  databaseRole: z.string().nullable(),
});

export const grantParams = z.strictObject({ ref, tenant: ref });
