/** Versions as entity tags: `ETag: "3"` in answers, `If-Match: "3"` in changes (RFC 9110 §13.1.1). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PenstockError } from '../domain/errors.ts';

export const setEtag = (reply: FastifyReply, version: number): void =>
  void reply.header('etag', `"${version}"`);

/** The version that the request insists on; undefined without If-Match, and for `*`. */
export function ifMatchOf(request: FastifyRequest): number | undefined {
  const header = request.headers['if-match'];
  if (header === undefined || header === '*') return undefined;
  const match = /^(?:W\/)?"(\d{1,9})"$/.exec(header);
  if (!match)
    throw new PenstockError('BAD_REQUEST', 'If-Match must be an ETag of ours, such as "3"', {
      pointer: '/headers/if-match',
    });
  return Number(match[1]);
}
