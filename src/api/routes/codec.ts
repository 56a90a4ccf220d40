/**
 * `/v1/codec`: what the Temporal Web UI and CLI call to read and write encrypted payloads. The UI's pages call from a browser,
 * so this answers to the UI's origin, and to no other. For operators' keys: histories are those of all tenants. The CLI
 * sends one; of the UI a browser that has signed in (codec-sign-in.ts) sends it.
 */
import { z } from 'zod';
import type { PayloadTranslator } from '../../ports/payload-translator.ts';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { requireOperator } from '../auth.ts';
import { addCodecSignIn, signedInKey } from './codec-sign-in.ts';

const base64 = z.string().regex(/^[A-Za-z0-9+/_-]*={0,2}$/, 'must be base64');
const payloads = z
  .object({
    payloads: z.array(
      z.object({ metadata: z.record(z.string(), base64).optional(), data: base64.optional() }),
    ),
  })
  .meta({ id: 'TemporalPayloads' });

/** `preserveStorageRefs` is the UI's: payloads that are kept elsewhere pass through in any case. */
const query = z.strictObject({ preserveStorageRefs: z.string().optional() });

const verbs = {
  decode: 'Decrypt payloads of Temporal',
  encode: 'Encrypt payloads for Temporal',
} as const satisfies Record<keyof PayloadTranslator, string>;

/** Before keys are looked at: a browser hides an answer without these, also the one that says what is wrong with the key. */
export function addCodecCors(app: ApiApp, links: ApiDeps['links']): void {
  const origin = links.temporalUiUrl === undefined ? undefined : new URL(links.temporalUiUrl).origin;
  app.addHook('onRequest', async (request, reply) => {
    if (!request.url.startsWith('/v1/codec/')) return;
    void reply.header('vary', 'origin');
    if (origin === undefined || request.headers.origin !== origin) return;
    void reply.headers({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'authorization,authorization-extras,content-type,x-namespace',
      'access-control-max-age': '600',
    });
    // Of this origin only, so that no other page acts for who has signed in.
    const key = signedInKey(request);
    if (key !== undefined) request.headers.authorization ??= `Bearer ${key}`;
  });
}

export function addCodecRoutes(app: ApiApp, deps: ApiDeps): void {
  const { payloads: translator, links } = deps;
  addCodecSignIn(app, deps);
  for (const [verb, summary] of Object.entries(verbs)) {
    const path = `/v1/codec/${verb}`;
    // A browser asks before it sends the key.
    app.options(path, { config: { access: 'open' }, schema: { hide: true } }, async (_, reply) =>
      reply.code(204).send(),
    );
    app.post(
      path,
      {
        config: { access: 'viewer', answersAreSecret: true },
        schema: {
          tags: ['workers'],
          summary,
          description: 'For operators’ keys. What is not encrypted, or of another namespace, passes through.',
          querystring: query,
          body: payloads,
          response: { 200: payloads },
        },
      },
      async (request) => {
        requireOperator(request, 'payloads');
        const namespace = request.headers['x-namespace'] ?? links.temporalNamespace;
        if (namespace !== links.temporalNamespace) return request.body;
        return { payloads: await translator[verb as keyof typeof verbs](request.body.payloads) };
      },
    );
  }
}
