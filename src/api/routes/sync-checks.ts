/** Questions about a sync that its two databases answer; nothing is written to either. */
import { refParams, tenantQuery } from '../common-schema.ts';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { queryScope, tenantOf } from '../auth.ts';
import { syncPlan, verifyBody, verifyReport } from '../examine-schema.ts';
import { checkScheduleFirst, mergedSpec } from '../sync-answer.ts';
import { newSync, syncPatch } from '../sync-schema.ts';

/** @param closing aborted when the server is to end */
export function addSyncCheckRoutes(app: ApiApp, { store, examiner }: ApiDeps, closing: AbortSignal): void {
  const { syncs, tenants } = store;
  const scope = queryScope(tenants);

  app.post(
    '/v1/syncs/plan',
    {
      config: { access: 'editor', answersAreSecret: true },
      preValidation: checkScheduleFirst,
      schema: {
        tags: ['syncs'],
        summary: 'What a run of this spec would do',
        description:
          'Asks both databases and writes to neither. A spec that would be refused is answered 200 with `ok: false`.',
        body: newSync,
        response: { 200: syncPlan },
      },
    },
    async (request) => {
      const { tenantId: ref, ...spec } = request.body;
      const owner = await tenantOf(request, tenants, ref);
      const checked = await syncs.check(owner, { spec, id: null });
      return examiner.plan({ ...checked, tenantId: owner.tenantId, id: null, spec });
    },
  );
  app.post(
    '/v1/syncs/:ref/plan',
    {
      config: { access: 'editor', answersAreSecret: true },
      preValidation: checkScheduleFirst,
      schema: {
        tags: ['syncs'],
        params: refParams,
        querystring: tenantQuery,
        summary: 'What the next run of a sync would do, or would do after a change',
        description:
          'The body is a JSON merge patch of the spec, empty for the spec as it is. Nothing is written.',
        body: syncPatch,
        response: { 200: syncPlan },
      },
    },
    async (request) => {
      const caller = await scope(request);
      const { id, tenantId, spec: before } = await syncs.fetch(caller, request.params.ref);
      const spec = mergedSpec(before, request.body);
      const checked = await syncs.check({ ...caller, tenantId }, { spec, id });
      return examiner.plan({ ...checked, tenantId, id, spec });
    },
  );
  app.post(
    '/v1/syncs/:ref/verify',
    {
      config: { access: 'operator', answersAreSecret: true },
      schema: {
        tags: ['syncs'],
        params: refParams,
        querystring: tenantQuery,
        summary: 'Compare source and target',
        description:
          'By checksums that each database computes, then by the keys of the rows that differ; never a value. It ends when the client goes.',
        body: verifyBody,
        response: { 200: verifyReport },
      },
    },
    async (request, reply) => {
      const { id, spec } = await syncs.fetch(await scope(request), request.params.ref);
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const { maxExamples, maxSeconds } = request.body;
      const signal = AbortSignal.any([closing, gone.signal, AbortSignal.timeout(maxSeconds * 1_000)]);
      return examiner.verify({ id, spec }, { maxExamples, signal });
    },
  );
}
