/** `/v1/connections/{ref}/grants`: which tenants may write through an operator's connection, and where. */
import { z } from 'zod';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { callerOf } from '../auth.ts';
import { noContent, refParams } from '../common-schema.ts';
import { grant, grantBody, grantParams } from '../connection-schema.ts';

const tags = ['connections'];

export function addConnectionGrantRoutes(app: ApiApp, { store }: ApiDeps): void {
  const { connections, tenants } = store;
  app.get(
    '/v1/connections/:ref/grants',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'List the grants of an operator’s connection',
        params: refParams,
        response: { 200: z.object({ items: z.array(grant) }) },
      },
    },
    async (request) => ({ items: await connections.listGrants(callerOf(request), request.params.ref) }),
  );
  app.put(
    '/v1/connections/:ref/grants/:tenant',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Grant an operator’s connection to a tenant, or change its grant',
        params: grantParams,
        body: grantBody,
        response: { 200: grant },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const { id } = await tenants.fetch(caller, request.params.tenant);
      return connections.grant(caller, request.params.ref, { tenantId: id, ...request.body });
    },
  );
  app.delete(
    '/v1/connections/:ref/grants/:tenant',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Take a grant back that no sync uses',
        params: grantParams,
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const { id } = await tenants.fetch(caller, request.params.tenant);
      await connections.revokeGrant(caller, request.params.ref, id);
      return reply.code(204).send();
    },
  );
}
