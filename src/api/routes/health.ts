/** `/livez`, `/readyz`, `/metrics`: for probes, so without a key and without anything of a tenant. */
import { z } from 'zod';
import type { DependencyCheck } from '../../ports/dependency-check.ts';
import type { HttpMetrics } from '../../telemetry/http-metrics.ts';
import type { ApiApp } from '../api-app.ts';

const checkTimeoutMs = 2_000;

const checked = z.object({ ok: z.boolean(), detail: z.string(), elapsedMs: z.number() });
const readiness = z
  .object({ status: z.enum(['ok', 'unavailable']), checks: z.record(z.string(), checked) })
  .meta({ id: 'Readiness' });
type Readiness = z.infer<typeof readiness>;

export function addHealthRoutes(app: ApiApp, checks: readonly DependencyCheck[], metrics: HttpMetrics): void {
  const tags = ['health'];
  app.get(
    '/livez',
    {
      config: { access: 'open' },
      schema: {
        tags,
        summary: 'The process lives',
        response: { 200: z.object({ status: z.literal('ok') }) },
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  /** Probes that come at once share one round of checks: nobody can load the dependencies by asking. */
  let round: Promise<Readiness> | undefined;
  app.get(
    '/readyz',
    {
      config: { access: 'open' },
      schema: {
        tags,
        summary: 'What it stands on answers',
        response: { 200: readiness, 503: readiness },
      },
    },
    async (_, reply) => {
      round ??= checkAll(checks).finally(() => {
        round = undefined;
      });
      const found = await round;
      return reply.code(found.status === 'ok' ? 200 : 503).send(found);
    },
  );
  app.get('/metrics', { config: { access: 'open' }, schema: { hide: true } }, async (_, reply) =>
    reply.type(metrics.contentType).send(await metrics.read()),
  );
}

async function checkAll(checks: readonly DependencyCheck[]): Promise<Readiness> {
  const results = await Promise.all(checks.map(checkOne));
  return {
    status: results.every(([, { ok }]) => ok) ? 'ok' : 'unavailable',
    checks: Object.fromEntries(results),
  };
}

async function checkOne(dependency: DependencyCheck): Promise<[string, z.infer<typeof checked>]> {
  const since = performance.now();
  const elapsedMs = () => Math.round(performance.now() - since);
  try {
    const detail = await dependency.check(checkTimeoutMs);
    return [dependency.name, { ok: true, detail, elapsedMs: elapsedMs() }];
  } catch (error) {
    return [dependency.name, { ok: false, detail: (error as Error).message, elapsedMs: elapsedMs() }];
  }
}
