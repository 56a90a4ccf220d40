/** Shapes that all resources share. */
import { z } from 'zod';
import { nameSchema } from '../domain/sync-spec.ts';

export { nameSchema };

export const timestamp = z.string().meta({ format: 'date-time' });

/** A time that a user sends, with its offset; answered as UTC. */
export const instant = z.iso.datetime({ offset: true });

/** Of a request that may be sent again: it says what the same key gives. */
export const requestKey = z.string().min(1).max(200).optional();

/** Runs at work at once. */
export const maxRunsSchema = z.int().min(1).max(100_000);

/** An id or a name. */
export const ref = z.string().min(1).max(80);

/** For operators' keys: whose it is. A tenant's key implies it. */
export const tenantRef = ref.optional().describe('Id or name of the tenant; for operators’ keys only.');

export const refParams = z.strictObject({ ref: ref.describe('Id or name.') });
export const idParams = z.strictObject({ id: ref });
export const tenantQuery = z.strictObject({ tenantId: tenantRef });

/** Query of lists: extend it with filters. */
export const pageQuery = z.strictObject({
  tenantId: tenantRef,
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(400).optional().describe('`next` of the page before.'),
});

/** A page of items. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({
    items: z.array(item),
    next: z.string().nullable().describe('Cursor of the next page; null: this is the last.'),
  });

/** A body without members, or no body. */
export const emptyBody = z.strictObject({});

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    cure: z.string(),
    pointer: z.string().optional(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
    meta: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
    requestId: z.string(),
  })
  .meta({ id: 'Problem', description: 'What went wrong, and what to change (RFC 9457).' });

export const noContent = z.undefined().describe('Done; there is nothing to say.');
