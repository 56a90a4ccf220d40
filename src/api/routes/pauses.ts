/** Pauses of a tenant and of all, and the list of all that are in force. Pauses of a sync are verbs of the sync. */
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { callerOf, queryScope } from '../auth.ts';
import { emptyBody, noContent, pageOf, pageQuery, refParams } from '../common-schema.ts';
import { answerPage, pageRequestOf } from '../pages.ts';
import { pause, pauseBody } from '../pause-schema.ts';

const tags = ['pauses'];
const config = { access: 'operator' } as const;

export function addPauseRoutes(app: ApiApp, { store }: ApiDeps): void {
  const scope = queryScope(store.tenants);
  app.get(
    '/v1/pauses',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'List the pauses in force, of syncs, tenants and all',
        querystring: pageQuery,
        response: { 200: pageOf(pause) },
      },
    },
    async (request, reply) => {
      const page = await store.pauses.list(await scope(request), pageRequestOf(request.query));
      return answerPage(request, reply, page, (item) => item);
    },
  );
  app.post(
    '/v1/tenants/:ref/pause',
    {
      config,
      schema: {
        tags,
        summary: 'Pause a tenant: due times of its syncs are recorded and not run',
        params: refParams,
        body: pauseBody,
        response: { 200: pause },
      },
    },
    (request) => store.pauses.pause(callerOf(request), request.params.ref, request.body),
  );
  app.post(
    '/v1/tenants/:ref/resume',
    {
      config,
      schema: {
        tags,
        summary: 'End the pause of a tenant',
        params: refParams,
        body: emptyBody,
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      await store.pauses.resume(callerOf(request), request.params.ref);
      return reply.code(204).send();
    },
  );
  app.post(
    '/v1/pause',
    {
      config,
      schema: {
        tags,
        summary: 'Pause all: due times of every tenant are recorded and not run',
        body: pauseBody,
        response: { 200: pause },
      },
    },
    (request) => store.pauses.pause(callerOf(request), null, request.body),
  );
  app.post(
    '/v1/resume',
    {
      config,
      schema: { tags, summary: 'End the pause of all', body: emptyBody, response: { 204: noContent } },
    },
    async (request, reply) => {
      await store.pauses.resume(callerOf(request), null);
      return reply.code(204).send();
    },
  );
}
