/** Bearer keys and roles. Every route says who may call it; one that does not say is a defect that ends the start. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { covers } from '../domain/access.ts';
import { PenstockError } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { ApiKeyStore } from '../ports/api-key-store.ts';
import type { Caller, Scope } from '../ports/scope.ts';
import type { TenantStore } from '../ports/tenant-store.ts';
import type { ApiApp } from './api-app.ts';

/** The docs page is made by a plugin whose routes cannot say so themselves; it shows nothing of the installation. */
export const docsPrefix = '/docs';

/** Asks for a key before anything else of the request is looked at. */
export function addAuth(app: ApiApp, apiKeys: ApiKeyStore): void {
  app.decorateRequest('caller', null);
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith(docsPrefix)) route.config = { ...route.config, access: 'open' };
    if (route.config?.access === undefined)
      throw new Error(`route ${String(route.method)} ${route.url} does not say who may call it`);
  });
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    const access = request.routeOptions.config.access ?? 'viewer';
    if (access === 'open' || request.is404) return;
    const caller = await authenticate(request, apiKeys);
    if (caller === null) {
      void reply.header('www-authenticate', 'Bearer realm="penstock"');
      throw new PenstockError(
        'UNAUTHENTICATED',
        'the request has no API key that is known, in force and not revoked',
      );
    }
    if (!covers(caller.role, access))
      throw new PenstockError(
        'FORBIDDEN',
        `this needs the role ${access}; the key has the role ${caller.role}`,
      );
    request.caller = caller;
  });
}

async function authenticate(request: FastifyRequest, apiKeys: ApiKeyStore): Promise<Caller | null> {
  const match = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '');
  return match ? apiKeys.authenticate(match[1] as string) : null;
}

/** The caller of a route that is not open. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new Error(`${request.url} was reached without a caller`);
  return request.caller;
}

/** FORBIDDEN unless an operator's key asks: `what` is of the installation, and no tenant's. */
export function requireOperator(request: FastifyRequest, what: string): void {
  if (callerOf(request).tenantId !== null)
    throw new PenstockError('FORBIDDEN', `${what} are shown to an operator’s key only`);
}

/**
 * Whose rows the request may touch: a tenant's key means that tenant; an operator's key may name one (id or name), or
 * mean all. NOT_FOUND at the pointer when the caller sees no such tenant.
 */
export async function scopeOf(
  request: FastifyRequest,
  tenants: TenantStore,
  tenantRef: string | undefined,
  pointer = '/query/tenantId',
): Promise<Scope> {
  const { apiKeyId, tenantId } = callerOf(request);
  if (tenantRef === undefined) return { apiKeyId, tenantId };
  try {
    return { apiKeyId, tenantId: (await tenants.fetch({ apiKeyId, tenantId }, tenantRef)).id };
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'NOT_FOUND') throw cause;
    throw new PenstockError('NOT_FOUND', `there is no tenant ${tenantRef}`, { pointer, cause });
  }
}

type Tenanted = FastifyRequest & { query: { tenantId?: string | undefined } };

/** `scopeOf` of a route that takes `?tenantId=`. */
export const queryScope =
  (tenants: TenantStore) =>
  (request: Tenanted): Promise<Scope> =>
    scopeOf(request, tenants, request.query.tenantId);

/** The one tenant whose new sync it is. BAD_REQUEST when an operator's key does not say. */
export async function tenantOf(
  request: FastifyRequest,
  tenants: TenantStore,
  tenantRef: string | undefined,
): Promise<Scope & { tenantId: TenantId }> {
  const { tenantId, apiKeyId } = await scopeOf(request, tenants, tenantRef, '/tenantId');
  if (tenantId !== null) return { tenantId, apiKeyId };
  throw new PenstockError('BAD_REQUEST', 'an operator’s key must say whose sync it is', {
    pointer: '/tenantId',
  });
}
