/** `/v1/tenants`: made by the operator. */
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { callerOf } from '../auth.ts';
import { answerPage, pageRequestOf } from '../pages.ts';
import { pageOf, pageQuery, refParams } from '../common-schema.ts';
import { newTenant, tenant } from '../tenant-schema.ts';

export function addTenantRoutes(app: ApiApp, { store }: ApiDeps): void {
  app.post(
    '/v1/tenants',
    {
      config: { access: 'admin' },
      schema: { tags: ['tenants'], summary: 'Make a tenant', body: newTenant, response: { 201: tenant } },
    },
    async (request, reply) => {
      const made = await store.tenants.create(callerOf(request), request.body);
      return reply.code(201).header('location', `/v1/tenants/${made.id}`).send(made);
    },
  );
  app.get(
    '/v1/tenants',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['tenants'],
        summary: 'List tenants',
        querystring: pageQuery.omit({ tenantId: true }),
        response: { 200: pageOf(tenant) },
      },
    },
    async (request, reply) => {
      const page = await store.tenants.list(callerOf(request), pageRequestOf(request.query));
      return answerPage(request, reply, page, (item) => item);
    },
  );
  app.get(
    '/v1/tenants/:ref',
    {
      config: { access: 'viewer' },
      schema: { tags: ['tenants'], summary: 'Read a tenant', params: refParams, response: { 200: tenant } },
    },
    (request) => store.tenants.fetch(callerOf(request), request.params.ref),
  );
}
