/** `/v1/backfills`: stretches of a sync's cursor that are read again, without moving the cursor. */
import { isId } from '../../domain/ids.ts';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { queryScope } from '../auth.ts';
import { backfill, backfillBody, backfillsQuery } from '../backfill-schema.ts';
import { emptyBody, idParams, pageOf, refParams, tenantQuery } from '../common-schema.ts';
import { requestKeyOf } from '../idempotency.ts';
import { answerPage, pageRequestOf } from '../pages.ts';

const tags = ['backfills'];
const common = { tags, params: idParams, querystring: tenantQuery };

export function addBackfillRoutes(app: ApiApp, { store }: ApiDeps): void {
  const { backfills, syncs, tenants } = store;
  const scope = queryScope(tenants);

  app.post(
    '/v1/syncs/:ref/backfill',
    {
      config: { access: 'operator' },
      schema: {
        ...common,
        params: refParams,
        summary: 'Read a stretch of a sync’s cursor again',
        description: 'Its parts run one after the other, behind all else; the cursor stays where it is.',
        body: backfillBody,
        response: { 202: backfill },
      },
    },
    async (request, reply) => {
      const { requestKey, ...range } = request.body;
      const started = await backfills.start(await scope(request), request.params.ref, {
        ...range,
        requestKey: requestKeyOf(request, requestKey),
      });
      void reply.header('location', `/v1/backfills/${started.id}`);
      return reply.code(202).send(started);
    },
  );
  app.get(
    '/v1/backfills',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'List backfills, oldest first',
        querystring: backfillsQuery,
        response: { 200: pageOf(backfill) },
      },
    },
    async (request, reply) => {
      const owner = await scope(request);
      const { syncId: ref } = request.query;
      // an id also finds those of a sync that is deleted
      const syncId = ref === undefined || isId('sync', ref) ? ref : (await syncs.fetch(owner, ref)).id;
      const page = await backfills.list(owner, { syncId }, pageRequestOf(request.query));
      return answerPage(request, reply, page, (item) => item);
    },
  );
  app.get(
    '/v1/backfills/:id',
    {
      config: { access: 'viewer' },
      schema: { ...common, summary: 'Read a backfill and how far it is', response: { 200: backfill } },
    },
    async (request) => backfills.fetch(await scope(request), request.params.id),
  );
  app.post(
    '/v1/backfills/:id/cancel',
    {
      config: { access: 'operator' },
      schema: {
        ...common,
        summary: 'Cancel a backfill: the part in hand ends, and none follows',
        body: emptyBody,
        response: { 200: backfill },
      },
    },
    async (request) => backfills.cancel(await scope(request), request.params.id),
  );
}
