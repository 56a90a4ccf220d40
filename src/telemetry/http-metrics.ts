/** Metrics of a process that serves HTTP, in Prometheus' text format. Labels are route patterns: never ids or tenants. */
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { addGauges, type GaugeSource } from './gauges.ts';

export interface HttpMetrics {
  observeRequest(request: { method: string; route: string; status: number; elapsedMs: number }): void;
  read(): Promise<string>;
  readonly contentType: string;
}

/** Metrics in a registry of their own. */
export function createHttpMetrics(gauges: readonly GaugeSource[] = []): HttpMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const source of gauges) addGauges(registry, source);
  const duration = new Histogram({
    name: 'penstock_http_request_seconds',
    help: 'Time to answer a request',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });
  return {
    observeRequest: ({ method, route, status, elapsedMs }) =>
      duration.observe({ method, route, status: String(status) }, elapsedMs / 1000),
    read: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
