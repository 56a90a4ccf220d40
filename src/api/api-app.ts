/** The Fastify instance as routes see it, and what each request carries. */
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ApiKeyRole } from '../domain/access.ts';
import type { Caller } from '../ports/scope.ts';

export type ApiApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The least role that may call the route; `open`: no key is needed. A route without it is not registered. */
    access?: ApiKeyRole | 'open';
    /** Its answers are not kept for Idempotency-Key: they hold a secret. */
    answersAreSecret?: boolean;
  }
  interface FastifyRequest {
    /** Who calls; null on open routes. */
    caller: Caller | null;
    /** The Idempotency-Key that this request holds, until it is answered. */
    idempotencyKey: string | null;
  }
}
