/**
 * `Idempotency-Key` on POST: the same request again, with the same API key, gets the first answer again. Only success
 * is kept: a request that failed may be sent again with its key.
 */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PenstockError } from '../domain/errors.ts';
import type { IdempotencyStore } from '../ports/idempotency-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ApiApp } from './api-app.ts';
import { callerOf } from './auth.ts';

const keptHeaders = ['location', 'etag', 'content-type'] as const;

export function addIdempotency(app: ApiApp, store: IdempotencyStore, logger: Logger): void {
  app.decorateRequest('idempotencyKey', null);
  app.addHook('preHandler', async (request, reply) => {
    const key = keyOf(request);
    if (key === undefined || request.caller === null) return undefined;
    const begun = await store.begin(callerOf(request), key, hashOf(request));
    if (begun.state === 'begun') {
      request.idempotencyKey = key;
      return undefined;
    }
    const { status, headers, body } = begun.answer;
    return reply
      .code(status)
      .headers({ ...headers, 'idempotency-replayed': 'true' })
      .serializer(JSON.stringify)
      .send(body);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const key = request.idempotencyKey;
    if (key === null) return payload;
    request.idempotencyKey = null;
    await keep(request, reply, { key, payload }, store).catch((err: unknown) =>
      logger.warn({ err, requestId: request.id }, 'the answer is not kept for its Idempotency-Key'),
    );
    return payload;
  });
}

function keyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (request.method !== 'POST' || key === undefined || request.routeOptions.config.answersAreSecret)
    return undefined;
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key))
    throw new PenstockError('BAD_REQUEST', 'an Idempotency-Key is 1 to 255 visible ASCII characters', {
      pointer: '/headers/idempotency-key',
    });
  return key;
}

const hashOf = (request: FastifyRequest): Buffer =>
  createHash('sha256')
    .update(JSON.stringify([request.method, request.url, request.body ?? null]))
    .digest();

async function keep(
  request: FastifyRequest,
  reply: FastifyReply,
  { key, payload }: { key: string; payload: unknown },
  store: IdempotencyStore,
): Promise<void> {
  const caller = callerOf(request);
  if (reply.statusCode >= 300 || (typeof payload !== 'string' && payload !== undefined))
    return store.abandon(caller, key);
  const headers = Object.fromEntries(
    keptHeaders.flatMap((name) => {
      const value = reply.getHeader(name);
      return value === undefined ? [] : [[name, String(value)]];
    }),
  );
  const body: unknown = payload === undefined || payload === '' ? null : JSON.parse(payload);
  return store.complete(caller, key, { status: reply.statusCode, headers, body });
}

/**
 * The client's own, else made of its Idempotency-Key so that a repeated request is one run even without its answer; else none.
 */
export function requestKeyOf(request: FastifyRequest, given: string | undefined): string | undefined {
  const key = request.headers['idempotency-key'];
  return given ?? (typeof key === 'string' ? `${callerOf(request).apiKeyId}:${key}` : undefined);
}
