/** `/v1/runs`: executions of syncs; reading and steering them. */
import { isId } from '../../domain/ids.ts';
import type { RunControl } from '../../ports/run-control.ts';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { queryScope } from '../auth.ts';
import { answerPage, pageRequestOf } from '../pages.ts';
import { waitForRun, waitSecondsOf } from '../prefer-wait.ts';
import { answerAttempt, answerRun } from '../run-answer.ts';
import { emptyBody, idParams, pageOf, pageQuery, tenantQuery } from '../common-schema.ts';
import { explanation, run, runChange, runAttempt, runEvent, runsQuery } from '../run-schema.ts';

const tags = ['runs'];
const common = { tags, params: idParams, querystring: tenantQuery };

const verbs = {
  cancel: 'Cancel a run: a queued one ends at once, an active one after the batches in hand',
  pause: 'Pause a run after the batches in hand are committed',
  resume: 'Let a paused run go on',
} as const satisfies Partial<Record<keyof RunControl, string>>;

export function addRunRoutes(app: ApiApp, deps: ApiDeps, closing: AbortSignal): void {
  const { runs, syncs, tenants } = deps.store;
  const scope = queryScope(tenants);

  app.get(
    '/v1/runs',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'List runs, newest first',
        querystring: runsQuery,
        response: { 200: pageOf(run) },
      },
    },
    async (request, reply) => {
      const owner = await scope(request);
      const { syncId: ref, status, origin } = request.query;
      // an id also finds the runs of a sync that is deleted
      const syncId = ref === undefined || isId('sync', ref) ? ref : (await syncs.fetch(owner, ref)).id;
      const page = await runs.list(owner, { syncId, status, origin }, pageRequestOf(request.query));
      return answerPage(request, reply, page, (item) => answerRun(item, deps.links));
    },
  );
  app.get(
    '/v1/runs/:id',
    {
      config: { access: 'viewer' },
      schema: {
        ...common,
        summary: 'Read a run',
        description: 'With `Prefer: wait=N` the answer is held until the run is final, at most N seconds.',
        response: { 200: run },
      },
    },
    async (request, reply) => {
      const owner = await scope(request);
      const look = () => runs.fetch(owner, request.params.id);
      const found = await waitForRun(
        { run: await look(), seconds: waitSecondsOf(request), reply, closing },
        look,
      );
      return answerRun(found, deps.links);
    },
  );
  app.get(
    '/v1/runs/:id/events',
    {
      config: { access: 'viewer' },
      schema: {
        ...common,
        summary: 'What happened to a run, oldest first',
        querystring: pageQuery,
        response: { 200: pageOf(runEvent) },
      },
    },
    async (request, reply) => {
      const page = await runs.listEvents(
        await scope(request),
        request.params.id,
        pageRequestOf(request.query),
      );
      return answerPage(request, reply, page, (item) => item);
    },
  );
  app.get(
    '/v1/runs/:id/attempts',
    {
      config: { access: 'viewer' },
      schema: {
        ...common,
        summary: 'The attempts at the partitions of a run, newest first, and why those failed that did',
        querystring: pageQuery,
        response: { 200: pageOf(runAttempt) },
      },
    },
    async (request, reply) => {
      const page = await runs.listAttempts(
        await scope(request),
        request.params.id,
        pageRequestOf(request.query),
      );
      return answerPage(request, reply, page, answerAttempt);
    },
  );
  app.get(
    '/v1/runs/:id/explain',
    {
      config: { access: 'viewer' },
      schema: { ...common, summary: 'Why a run is not at work', response: { 200: explanation } },
    },
    async (request) => deps.explainer.explain(await scope(request), request.params.id),
  );
  app.patch(
    '/v1/runs/:id',
    {
      config: { access: 'operator' },
      schema: {
        ...common,
        summary: 'Change the priority of a run that waits',
        body: runChange,
        response: { 200: run },
      },
    },
    async (request) => {
      const moved = await runs.setPriority(await scope(request), request.params.id, request.body.priority);
      return answerRun(moved, deps.links);
    },
  );
  for (const [verb, summary] of Object.entries(verbs) as [keyof typeof verbs, string][])
    app.post(
      `/v1/runs/:id/${verb}`,
      {
        config: { access: 'operator' },
        schema: { ...common, summary, body: emptyBody, response: { 202: run } },
      },
      async (request, reply) => {
        const steered = await runs[verb](await scope(request), request.params.id);
        return reply
          .code(202)
          .header('location', `/v1/runs/${steered.id}`)
          .send(answerRun(steered, deps.links));
      },
    );
}
