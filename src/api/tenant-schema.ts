/** Tenants and API keys in the API. */
import { z } from 'zod';
import { apiKeyRoles } from '../domain/access.ts';
import { durationSchema } from '../domain/duration-spec.ts';
import { runOrders } from '../domain/priority.ts';
import { instant, maxRunsSchema, nameSchema, tenantRef, timestamp } from './common-schema.ts';

export const tenant = z
  .object({
    id: z.string(),
    name: z.string(),
    version: z.int(),
    weight: z.int(),
    maxRuns: z.int(),
    minInterval: z.string().nullable(),
    order: z.enum(runOrders),
    createdAt: timestamp,
  })
  .meta({ id: 'Tenant' });

const weight = z
  .int()
  .min(1)
  .max(1000)
  .describe(
    'Share of the starts while others wait, too: 3 gets three for each one of a tenant with 1, the default.',
  );

const maxRuns = maxRunsSchema.describe('How many of its runs may be at work at once; 10 by default.');

const minInterval = durationSchema
  .nullable()
  .describe(
    'How far apart due times of a new or changed schedule are at least; null, the default: any distance.',
  );
const order = z
  .enum(runOrders)
  .describe('`deadline`, the default: a low priority waits for longer, and not for ever. `strict`: it may.');

export const newTenant = z.strictObject({
  name: nameSchema,
  weight: weight.optional(),
  maxRuns: maxRuns.optional(),
  minInterval: minInterval.optional(),
  order: order.optional(),
});

export const tenantChange = z
  .strictObject({ weight, maxRuns, minInterval, order })
  .partial()
  .meta({ id: 'TenantChange', description: 'Absent members stay as they are.' });

const apiKeyMembers = {
  id: z.string(),
  tenantId: z.string().nullable(),
  name: z.string(),
  role: z.enum(apiKeyRoles),
  prefix: z.string().describe('The first characters of the key, to recognise it by.'),
  createdAt: timestamp,
  expiresAt: timestamp.nullable(),
  revokedAt: timestamp.nullable(),
};

export const apiKey = z.object(apiKeyMembers).meta({ id: 'ApiKey' });

export const madeApiKey = z
  .object({ ...apiKeyMembers, key: z.string().describe('Shown once: it is not stored.') })
  .meta({ id: 'MadeApiKey' });

export const newApiKey = z.strictObject({
  tenantId: tenantRef,
  name: z.string().min(1).max(100),
  role: z.enum(apiKeyRoles),
  expiresAt: instant.nullable().default(null),
});
