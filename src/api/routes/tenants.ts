/** `/v1/tenants`: made and changed by the operator. */
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { callerOf } from '../auth.ts';
import { ifMatchOf, setEtag } from '../etag.ts';
import { answerPage, pageRequestOf } from '../pages.ts';
import { pageOf, pageQuery, refParams } from '../common-schema.ts';
import { newTenant, tenant, tenantChange } from '../tenant-schema.ts';

export function addTenantRoutes(app: ApiApp, { store }: ApiDeps): void {
  app.post(
    '/v1/tenants',
    {
      config: { access: 'admin' },
      schema: { tags: ['tenants'], summary: 'Make a tenant', body: newTenant, response: { 201: tenant } },
    },
    async (request, reply) => {
      const made = await store.tenants.create(callerOf(request), request.body);
      setEtag(reply, made.version);
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
    async (request, reply) => {
      const found = await store.tenants.fetch(callerOf(request), request.params.ref);
      setEtag(reply, found.version);
      return found;
    },
  );
  app.patch(
    '/v1/tenants/:ref',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['tenants'],
        summary: 'Change a tenant',
        params: refParams,
        body: tenantChange,
        response: { 200: tenant },
      },
    },
    async (request, reply) => {
      const { ref } = request.params;
      const changed = await store.tenants.update(callerOf(request), ref, request.body, ifMatchOf(request));
      setEtag(reply, changed.version);
      return changed;
    },
  );
}
