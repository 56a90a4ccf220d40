/** OpenAPI 3.1 at `/openapi.json`, made of the routes' schemas, and a page to read and try it at `/docs`. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { ApiApp } from './api-app.ts';
import type { ApiDeps } from './api-deps.ts';
import { docsPrefix } from './auth.ts';
import { problem } from './common-schema.ts';

const tags = ['tenants', 'api keys', 'connections', 'syncs', 'runs', 'backfills', 'workers', 'health'];

export async function addOpenApi(app: ApiApp, { version, links }: ApiDeps): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Penstock',
        version,
        description: 'Scheduled, exactly-once syncs of warehouse query results into Postgres.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      ...(links.publicUrl === undefined ? {} : { servers: [{ url: links.publicUrl }] }),
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
      tags: tags.map((name) => ({ name })),
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  app.addHook('onRoute', (route) => {
    if (!route.schema || route.schema.hide || !route.url.startsWith('/v1/')) return;
    const access = route.config?.access;
    route.schema = {
      ...route.schema,
      security: [{ apiKey: [] }],
      description: [route.schema.description, `Needs the role ${String(access)}.`].filter(Boolean).join(' '),
      response: {
        ...(route.schema.response as object),
        default: { description: 'A problem', content: { 'application/problem+json': { schema: problem } } },
      },
    };
  });
  app.get('/openapi.json', { config: { access: 'open' }, schema: { hide: true } }, async (_, reply) =>
    reply.type('application/json; charset=utf-8').send(app.swagger()),
  );
  await app.register(swaggerUi, {
    routePrefix: docsPrefix,
    staticCSP: true,
    uiConfig: { docExpansion: 'list', deepLinking: true, tryItOutEnabled: true },
  });
}
