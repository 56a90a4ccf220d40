/** `/v1/syncs`: saved queries, their destination, mode and schedule. */
import { PenstockError } from '../../domain/errors.ts';
import { isId } from '../../domain/ids.ts';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { queryScope, tenantOf } from '../auth.ts';
import { ifMatchOf, setEtag } from '../etag.ts';
import { answerPage, pageRequestOf } from '../pages.ts';
import { noContent, pageOf, refParams, tenantQuery } from '../common-schema.ts';
import { changedSync, newSync, sync, syncPatch, syncsQuery } from '../sync-schema.ts';
import { answerSync, checkScheduleFirst, checkedSpec, patchedSpec } from '../sync-answer.ts';

const tags = ['syncs'];

export function addSyncRoutes(app: ApiApp, { store }: ApiDeps): void {
  const { syncs, tenants } = store;
  const scope = queryScope(tenants);

  app.post(
    '/v1/syncs',
    {
      config: { access: 'editor' },
      preValidation: checkScheduleFirst,
      schema: { tags, summary: 'Make a sync', body: newSync, response: { 201: sync } },
    },
    async (request, reply) => {
      const { tenantId: ref, ...spec } = request.body;
      const made = await syncs.create(await tenantOf(request, tenants, ref), checkedSpec(spec));
      setEtag(reply, made.version);
      return reply.code(201).header('location', `/v1/syncs/${made.id}`).send(answerSync(made));
    },
  );
  app.get(
    '/v1/syncs',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'List syncs', querystring: syncsQuery, response: { 200: pageOf(sync) } },
    },
    async (request, reply) => {
      const { name, connectionId } = request.query;
      const filter = { name, connectionId: connectionIdOf(connectionId) };
      const page = await syncs.list(await scope(request), filter, pageRequestOf(request.query));
      return answerPage(request, reply, page, answerSync);
    },
  );
  app.get(
    '/v1/syncs/:ref',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Read a sync',
        params: refParams,
        querystring: tenantQuery,
        response: { 200: sync },
      },
    },
    async (request, reply) => {
      const found = await syncs.fetch(await scope(request), request.params.ref);
      setEtag(reply, found.version);
      return answerSync(found);
    },
  );
  app.put(
    '/v1/syncs/:ref',
    {
      config: { access: 'editor' },
      preValidation: checkScheduleFirst,
      schema: {
        tags,
        summary: 'Give a sync its next spec',
        params: refParams,
        querystring: tenantQuery,
        body: changedSync,
        response: { 200: sync },
      },
    },
    async (request, reply) => {
      const spec = checkedSpec(request.body);
      const changed = await syncs.replace(await scope(request), request.params.ref, spec, ifMatchOf(request));
      setEtag(reply, changed.version);
      return answerSync(changed);
    },
  );
  app.patch(
    '/v1/syncs/:ref',
    {
      config: { access: 'editor' },
      preValidation: checkScheduleFirst,
      schema: {
        tags,
        summary: 'Change members of a sync’s spec (JSON merge patch)',
        params: refParams,
        querystring: tenantQuery,
        body: syncPatch,
        response: { 200: sync },
      },
    },
    async (request, reply) => {
      const owner = await scope(request);
      const before = await syncs.fetch(owner, request.params.ref);
      const spec = patchedSpec(before.spec, request.body);
      const changed = await syncs.replace(owner, before.id, spec, ifMatchOf(request) ?? before.version);
      setEtag(reply, changed.version);
      return answerSync(changed);
    },
  );
  app.delete(
    '/v1/syncs/:ref',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'Delete a sync and cancel its runs',
        params: refParams,
        querystring: tenantQuery,
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      await syncs.delete(await scope(request), request.params.ref, ifMatchOf(request));
      return reply.code(204).send();
    },
  );
}

function connectionIdOf(text: string | undefined) {
  if (text === undefined) return undefined;
  if (!isId('connection', text))
    throw new PenstockError('BAD_REQUEST', 'connectionId is the id of a connection', {
      pointer: '/query/connectionId',
    });
  return text;
}
