/** What can be done with a sync beside changing it: trigger, pause, resume, reset, and looking at its due times. */
import { z } from 'zod';
import { PenstockError } from '../../domain/errors.ts';
import { resetWays } from '../../domain/reset-ways.ts';
import { planTrigger } from '../../domain/trigger.ts';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { queryScope } from '../auth.ts';
import { requestKeyOf } from '../idempotency.ts';
import { answerPage, pageRequestOf } from '../pages.ts';
import { waitForRun, waitSecondsOf } from '../prefer-wait.ts';
import { answerRun } from '../run-answer.ts';
import { emptyBody, pageOf, pageQuery, refParams, tenantQuery } from '../common-schema.ts';
import { pauseBody } from '../pause-schema.ts';
import { accepted, run, triggerBody } from '../run-schema.ts';
import {
  cadence,
  cadenceQuery,
  fireTimes,
  moveBody,
  nextQuery,
  resetBody,
  resetPreview,
  skipBody,
  slot,
  sync,
} from '../sync-schema.ts';
import { isFinal } from '../../domain/run-states.ts';
import { answerFireTimes, answerSync } from '../sync-answer.ts';

const tags = ['syncs'];
const common = { tags, params: refParams, querystring: tenantQuery };

export function addSyncVerbRoutes(app: ApiApp, deps: ApiDeps, closing: AbortSignal): void {
  const { syncs, runs, tenants } = deps.store;
  const scope = queryScope(tenants);

  app.post(
    '/v1/syncs/:ref/trigger',
    {
      config: { access: 'operator' },
      schema: {
        ...common,
        summary: 'Run a sync, now or later',
        description: 'With `Prefer: wait=N` the answer is the final run, when it is final within N seconds.',
        body: triggerBody,
        response: { 200: run, 202: accepted },
      },
    },
    async (request, reply) => {
      const owner = await scope(request);
      const { priority, requestKey, ...when } = request.body;
      const made = await runs.trigger(owner, request.params.ref, {
        requestKey: requestKeyOf(request, requestKey),
        priority,
        plan: planTrigger(when),
      });
      void reply.header('location', `/v1/runs/${made.run.id}`);
      const found = await waitForRun({ run: made.run, seconds: waitSecondsOf(request), reply, closing }, () =>
        runs.fetch(owner, made.run.id),
      );
      if (isFinal(found.status)) return reply.code(200).send(answerRun(found, deps.links));
      return reply.code(202).send({ id: found.id, status: found.status });
    },
  );
  app.post(
    '/v1/syncs/:ref/pause',
    {
      config: { access: 'operator' },
      schema: {
        ...common,
        summary: 'Pause a sync: due times are recorded and not run',
        body: pauseBody,
        response: { 200: sync },
      },
    },
    async (request) => answerSync(await syncs.pause(await scope(request), request.params.ref, request.body)),
  );
  app.post(
    '/v1/syncs/:ref/resume',
    {
      config: { access: 'operator' },
      schema: { ...common, summary: 'End the pause of a sync', body: emptyBody, response: { 200: sync } },
    },
    async (request) => answerSync(await syncs.resume(await scope(request), request.params.ref)),
  );
  app.post(
    '/v1/syncs/:ref/skip-next',
    {
      config: { access: 'operator' },
      schema: {
        ...common,
        summary: 'Skip the next due time: it is recorded and not run',
        body: skipBody,
        response: { 200: sync },
      },
    },
    async (request) =>
      answerSync(await syncs.skipNext(await scope(request), request.params.ref, request.body)),
  );
  app.post(
    '/v1/syncs/:ref/move-next',
    {
      config: { access: 'operator' },
      schema: {
        ...common,
        summary: 'Let the next due time start later',
        body: moveBody,
        response: { 200: sync },
      },
    },
    async (request) =>
      answerSync(await syncs.moveNext(await scope(request), request.params.ref, request.body)),
  );
  app.post(
    '/v1/syncs/:ref/reset',
    {
      config: { access: 'editor' },
      schema: {
        ...common,
        summary: 'Forget what the sync has read, keep its cursor, or accept an unfinished load',
        body: resetBody,
        response: { 200: z.object({ id: z.string(), how: z.enum(resetWays) }) },
      },
    },
    async (request) => {
      const { how, deleteRows } = request.body;
      if (how !== 'reset' && deleteRows)
        throw new PenstockError('BAD_REQUEST', `${how} keeps the rows: deleteRows is for reset`, {
          pointer: '/deleteRows',
        });
      const id = await syncs.recordReset(await scope(request), request.params.ref, how);
      await (how === 'reset'
        ? deps.syncDestination.reset(id, { deleteRows })
        : deps.syncDestination[how](id));
      return { id, how };
    },
  );
  app.get(
    '/v1/syncs/:ref/reset',
    {
      config: { access: 'viewer' },
      schema: {
        ...common,
        summary: 'What a reset would meet, and delete',
        response: { 200: resetPreview },
      },
    },
    async (request) => {
      const { id } = await syncs.fetch(await scope(request), request.params.ref);
      return { id, ...(await deps.syncDestination.describe(id)) };
    },
  );
  app.get(
    '/v1/syncs/:ref/schedule/next',
    {
      config: { access: 'viewer' },
      schema: {
        ...common,
        summary: 'The next due times of a sync',
        querystring: nextQuery,
        response: { 200: fireTimes },
      },
    },
    async (request) => {
      const { spec } = await syncs.fetch(await scope(request), request.params.ref);
      return answerFireTimes(spec.schedule, Date.now(), request.query.count);
    },
  );
  app.get(
    '/v1/syncs/:ref/slots',
    {
      config: { access: 'viewer' },
      schema: {
        ...common,
        summary: 'The due times of a sync and what became of them, newest first',
        querystring: pageQuery,
        response: { 200: pageOf(slot) },
      },
    },
    async (request, reply) => {
      const page = await syncs.listSlots(
        await scope(request),
        request.params.ref,
        pageRequestOf(request.query),
      );
      return answerPage(request, reply, page, (item) => item);
    },
  );
  app.get(
    '/v1/syncs/:ref/cadence',
    {
      config: { access: 'viewer' },
      schema: {
        ...common,
        summary: 'How often a sync runs against how often it was asked to',
        querystring: cadenceQuery,
        response: { 200: cadence },
      },
    },
    async (request) => {
      const { fromMs, toMs, askedEveryMs, ranEveryMs, ...counts } = await syncs.fetchCadence(
        await scope(request),
        request.params.ref,
        request.query.last,
      );
      return {
        ...counts,
        from: timeOf(fromMs),
        to: timeOf(toMs),
        askedEveryS: secondsOf(askedEveryMs),
        ranEveryS: secondsOf(ranEveryMs),
      };
    },
  );
}

const timeOf = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
const secondsOf = (ms: number | null): number | null => (ms === null ? null : ms / 1000);
