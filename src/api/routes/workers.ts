/** `/v1/workers`: who works and what waits for them; of the installation, so for the operator. */
import { z } from 'zod';
import { fleetWork } from '../../ports/fleet.ts';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { requireOperator } from '../auth.ts';
import { timestamp } from '../common-schema.ts';

const work = z
  .enum(fleetWork)
  .describe('workflows decide, steps are the short activities, copies the long ones');

const fleet = z
  .object({
    workers: z.array(
      z.object({
        identity: z.string().describe('Process and host.'),
        buildId: z.string().nullable(),
        lastSeenAt: timestamp.describe('Of its newest poll, which may last a minute.'),
        workerClass: z.string().nullable().describe('Whose runs it takes; null: the common ones.'),
        polls: z.array(work),
      }),
    ),
    queues: z.array(
      z.object({
        name: z.string(),
        work,
        workerClass: z
          .string()
          .nullable()
          .describe('Of those whose tasks it holds; null: the common ones, and the workflows of all.'),
        backlog: z.int().describe('Tasks that wait for a worker, about.'),
        backlogAgeMs: z.int().describe('How long the oldest of them has waited.'),
      }),
    ),
  })
  .meta({ id: 'Fleet' });

export function addWorkerRoutes(app: ApiApp, deps: Pick<ApiDeps, 'fleet'>): void {
  app.get(
    '/v1/workers',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['workers'],
        summary: 'Who works, and what waits for them',
        description:
          'For operators’ keys. A worker that is gone is listed for some minutes after its last poll.',
        response: { 200: fleet },
      },
    },
    async (request) => {
      requireOperator(request, 'workers');
      return deps.fleet.describe();
    },
  );
}
