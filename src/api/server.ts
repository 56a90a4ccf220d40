/**
 * The HTTP API: Fastify with our validation, problems, keys and routes. `createApiServer` builds it; whoever runs it
 * listens and closes. Closing answers what is in hand, ends waits early and refuses the rest.
 */
import { randomUUID } from 'node:crypto';
import Fastify from 'fastify';
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { createHttpMetrics } from '../telemetry/http-metrics.ts';
import type { ApiApp } from './api-app.ts';
import type { ApiDeps } from './api-deps.ts';
import { addAuth } from './auth.ts';
import { addErrorHandling, answerError } from './error-handling.ts';
import { addIdempotency } from './idempotency.ts';
import { addOpenApi } from './openapi.ts';
import { answerClientError } from './raw-errors.ts';
import { addRequestLog } from './request-log.ts';
import { checkText } from './request-text.ts';
import { addApiKeyRoutes } from './routes/api-keys.ts';
import { addCodecCors, addCodecRoutes } from './routes/codec.ts';
import { addConnectionGrantRoutes } from './routes/connection-grants.ts';
import { addConnectionRoutes } from './routes/connections.ts';
import { addHealthRoutes } from './routes/health.ts';
import { addBackfillRoutes } from './routes/backfills.ts';
import { addPauseRoutes } from './routes/pauses.ts';
import { addProblemRoutes } from './routes/problems.ts';
import { addRunRoutes } from './routes/runs.ts';
import { addScheduleRoutes } from './routes/schedules.ts';
import { addSyncCheckRoutes } from './routes/sync-checks.ts';
import { addSyncRejectRoutes } from './routes/sync-rejects.ts';
import { addSyncVerbRoutes } from './routes/sync-verbs.ts';
import { addSyncRoutes } from './routes/syncs.ts';
import { addTenantRoutes } from './routes/tenants.ts';
import { addWorkerRoutes } from './routes/workers.ts';
import { validatorCompiler } from './validation.ts';

const maxBodyBytes = 1024 * 1024;
/** A client that sends its request more slowly is cut off. */
const requestTimeoutMs = 30_000;

/** The server, ready to listen or to be asked with `inject`. */
export async function createApiServer(deps: ApiDeps): Promise<ApiApp> {
  const closing = new AbortController();
  const metrics = createHttpMetrics(deps.gauges);
  const app: ApiApp = Fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    genReqId: () => randomUUID(),
    forceCloseConnections: 'idle',
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply, deps.logger),
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  acceptEmptyJson(app);
  addErrorHandling(app, deps.logger);
  addRequestLog(app, deps.logger, metrics);
  addCodecCors(app, deps.links);
  addAuth(app, deps.store.apiKeys);
  app.addHook('preValidation', async ({ body, params, query }) => {
    checkText(params, '/params');
    checkText(query, '/query');
    checkText(body, '');
  });
  addIdempotency(app, deps.store.idempotency, deps.logger);
  app.addHook('preClose', async () => closing.abort());

  await addOpenApi(app, deps);
  addHealthRoutes(app, deps.checks, metrics);
  addProblemRoutes(app);
  addTenantRoutes(app, deps);
  addPauseRoutes(app, deps);
  addApiKeyRoutes(app, deps);
  addConnectionRoutes(app, deps);
  addConnectionGrantRoutes(app, deps);
  addSyncRoutes(app, deps);
  addScheduleRoutes(app);
  addSyncRejectRoutes(app, deps);
  addSyncVerbRoutes(app, deps, closing.signal);
  addSyncCheckRoutes(app, deps, closing.signal);
  addRunRoutes(app, deps, closing.signal);
  addBackfillRoutes(app, deps);
  addWorkerRoutes(app, deps);
  addCodecRoutes(app, deps);
  await app.ready();
  return app;
}

/** A POST without members may come without a body, also when its Content-Type says JSON. */
function acceptEmptyJson(app: ApiApp): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'string' },
    (request, body, done) => {
      if (body === '') done(null, undefined);
      else void parse(request, body as string, done);
    },
  );
}
