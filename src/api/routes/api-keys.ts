/** `/v1/api-keys`: a key is shown in the answer that makes it, and never again. */
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { queryScope, scopeOf } from '../auth.ts';
import { answerPage, pageRequestOf } from '../pages.ts';
import { idParams, pageOf, pageQuery, tenantQuery } from '../common-schema.ts';
import { apiKey, madeApiKey, newApiKey } from '../tenant-schema.ts';

const tags = ['api keys'];

export function addApiKeyRoutes(app: ApiApp, { store }: ApiDeps): void {
  const { apiKeys, tenants } = store;
  const scope = queryScope(tenants);

  app.post(
    '/v1/api-keys',
    {
      config: { access: 'admin', answersAreSecret: true },
      schema: { tags, summary: 'Make an API key', body: newApiKey, response: { 201: madeApiKey } },
    },
    async (request, reply) => {
      const { tenantId, ...wanted } = request.body;
      const owner = await scopeOf(request, tenants, tenantId, '/tenantId');
      return reply.code(201).send(await apiKeys.create(owner, wanted));
    },
  );
  app.get(
    '/v1/api-keys',
    {
      config: { access: 'admin' },
      schema: { tags, summary: 'List API keys', querystring: pageQuery, response: { 200: pageOf(apiKey) } },
    },
    async (request, reply) => {
      const page = await apiKeys.list(await scope(request), pageRequestOf(request.query));
      return answerPage(request, reply, page, (item) => item);
    },
  );
  app.delete(
    '/v1/api-keys/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Revoke an API key',
        params: idParams,
        querystring: tenantQuery,
        response: { 200: apiKey },
      },
    },
    async (request) => apiKeys.revoke(await scope(request), request.params.id),
  );
}
