/** Pages of lists: opaque cursors, and the `Link` header that leads to the next one (RFC 8288). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PenstockError } from '../domain/errors.ts';
import type { Page, PageRequest } from '../ports/scope.ts';

/** The page that a list's query asks for. BAD_REQUEST for a cursor that no page gave. */
export function pageRequestOf({
  limit,
  cursor,
}: {
  limit: number;
  cursor?: string | undefined;
}): PageRequest {
  if (cursor === undefined) return { limit };
  const after = Buffer.from(cursor, 'base64url').toString('utf8');
  if (!/^[\x21-\x7e]{1,200}$/.test(after))
    throw new PenstockError('BAD_REQUEST', 'the cursor is not one that a page of this list gave', {
      pointer: '/query/cursor',
    });
  return { limit, after };
}

/** The answer for a page. */
export function answerPage<T, U>(
  request: FastifyRequest,
  reply: FastifyReply,
  page: Page<T>,
  itemOf: (item: T) => U,
): { items: U[]; next: string | null } {
  const next = page.next === null ? null : Buffer.from(page.next, 'utf8').toString('base64url');
  if (next !== null) {
    const url = new URL(request.url, 'http://localhost');
    url.searchParams.set('cursor', next);
    void reply.header('link', `<${url.pathname}${url.search}>; rel="next"`);
  }
  return { items: page.items.map(itemOf), next };
}
