/** `/v1/syncs/{ref}/rejects`: the rows that a sync's target has refused. Reading them is audited: they are the customer's. */
import { z } from 'zod';
import { PenstockError } from '../../domain/errors.ts';
import { planTrigger } from '../../domain/trigger.ts';
import { writeModes } from '../../domain/write-modes.ts';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { queryScope } from '../auth.ts';
import { emptyBody, pageOf, pageQuery, refParams, tenantQuery, timestamp } from '../common-schema.ts';
import { requestKeyOf } from '../idempotency.ts';
import { answerPage, pageRequestOf } from '../pages.ts';
import { accepted } from '../run-schema.ts';

const tags = ['syncs'];

const shown = z.array(z.string().nullable()).nullable();

export const reject = z
  .object({
    id: z.string(),
    loadId: z.string(),
    partition: z.int(),
    batch: z.int(),
    state: z.enum(['open', 'stopped', 'settled']),
    key: shown,
    rows: z.int(),
    columns: z.array(z.string()),
    values: shown.describe(
      'Of the first of its rows, each cut after 1,000 characters; null once it is settled.',
    ),
    sqlstate: z.string(),
    column: z.string().nullable(),
    constraint: z.string().nullable(),
    cause: z.string().describe('The words of the destination.'),
    attempts: z.int(),
    firstSeenAt: timestamp,
    lastSeenAt: timestamp,
    settledAt: timestamp.nullable(),
  })
  .meta({ id: 'Reject', description: 'Rows of one key that the target has refused.' });

export function addSyncRejectRoutes(app: ApiApp, deps: ApiDeps): void {
  const { syncs, runs, tenants } = deps.store;
  const scope = queryScope(tenants);

  app.get(
    '/v1/syncs/:ref/rejects',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'The rows that the target of a sync has refused, oldest first',
        params: refParams,
        querystring: pageQuery.extend({
          settled: z.enum(['true', 'false']).default('false').describe('Also those that are settled.'),
        }),
        response: { 200: pageOf(reject) },
      },
    },
    async (request, reply) => {
      const { settled, ...page } = request.query;
      const wanted = pageRequestOf(page);
      if (wanted.after !== undefined && !/^\d{1,18}$/.test(wanted.after))
        throw new PenstockError('BAD_REQUEST', 'the cursor is not one that a page of this list gave', {
          pointer: '/query/cursor',
        });
      const id = await syncs.recordRejectsRead(await scope(request), request.params.ref);
      const found = await deps.syncDestination.listRejects(id, { ...wanted, settled: settled === 'true' });
      return answerPage(request, reply, found, ({ key, columns, values, ...item }) => ({
        ...item,
        key: key && [...key],
        columns: [...columns],
        values: values && [...values],
      }));
    },
  );
  app.post(
    '/v1/syncs/:ref/rejects/retry',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Try the rejects again: a run, which reads them beside what is new',
        params: refParams,
        querystring: tenantQuery,
        body: emptyBody,
        response: { 202: accepted },
      },
    },
    async (request, reply) => {
      const owner = await scope(request);
      const { spec } = await syncs.fetch(owner, request.params.ref);
      if (writeModes[spec.mode].onlyAdds && !spec.cursor)
        throw new PenstockError(
          'BAD_REQUEST',
          'an append without a cursor appends everything with each run: trigger one if you want that',
        );
      const { run } = await runs.trigger(owner, request.params.ref, {
        requestKey: requestKeyOf(request, undefined),
        priority: undefined,
        plan: planTrigger({}),
      });
      void reply.header('location', `/v1/runs/${run.id}`);
      return reply.code(202).send({ id: run.id, status: run.status });
    },
  );
}
