/** Pauses in the API. */
import { z } from 'zod';
import { instant, timestamp } from './common-schema.ts';

export const pauseBody = z.strictObject({
  reason: z.string().max(500).nullable().default(null),
  until: instant.nullable().default(null).describe('null: until resumed.'),
});

export const pause = z
  .object({
    id: z.string(),
    tenantId: z.string().nullable().describe('null: all tenants.'),
    syncId: z.string().nullable().describe('null: all syncs of the tenant.'),
    reason: z.string().nullable(),
    since: timestamp,
    until: timestamp.nullable().describe('null: until resumed.'),
  })
  .meta({ id: 'Pause', description: 'Due times that it covers are recorded and not run.' });
