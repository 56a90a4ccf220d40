/** One line and one measurement per request; its id is in the answer, so that a user can quote it. */
import type { HttpMetrics } from '../telemetry/http-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ApiApp } from './api-app.ts';

export function addRequestLog(app: ApiApp, logger: Logger, metrics: HttpMetrics): void {
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers({
      'request-id': request.id,
      'x-content-type-options': 'nosniff',
      ...(request.url.startsWith('/v1/') ? { 'cache-control': 'no-store' } : {}),
    });
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    const { method, id: requestId, caller } = request;
    const { statusCode: status, elapsedTime: elapsedMs } = reply;
    metrics.observeRequest({ method, route, status, elapsedMs });
    const isProbe = route === '/livez' || route === '/readyz' || route === '/metrics';
    logger[isProbe ? 'debug' : 'info'](
      {
        requestId,
        method,
        route,
        status,
        elapsedMs: Math.round(elapsedMs),
        ...(caller ? { apiKey: caller.apiKeyId, tenant: caller.tenantId } : {}),
      },
      'request',
    );
  });
}
