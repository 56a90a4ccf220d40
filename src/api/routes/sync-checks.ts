/** Questions about a sync that its two databases answer; nothing is written to either. */
import { refParams, tenantQuery } from '../common-schema.ts';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { scopeOf } from '../auth.ts';
import { verifyBody, verifyReport } from '../examine-schema.ts';

/** @param closing aborted when the server is to end */
export function addSyncCheckRoutes(app: ApiApp, { store, examiner }: ApiDeps, closing: AbortSignal): void {
  const { syncs, tenants } = store;

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
      const scope = await scopeOf(request, tenants, request.query.tenantId);
      const { id, spec } = await syncs.fetch(scope, request.params.ref);
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const { maxExamples, maxSeconds } = request.body;
      const signal = AbortSignal.any([closing, gone.signal, AbortSignal.timeout(maxSeconds * 1_000)]);
      return examiner.verify({ id, spec }, { maxExamples, signal });
    },
  );
}
