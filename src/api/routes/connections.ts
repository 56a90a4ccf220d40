/** `/v1/connections`: databases that syncs read from and write to. */
import { connectionKinds } from '../../domain/connection-kinds.ts';
import { hasCode, PenstockError } from '../../domain/errors.ts';
import type { FastifyRequest } from 'fastify';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { callerOf, queryScope, scopeOf } from '../auth.ts';
import { ifMatchOf, setEtag } from '../etag.ts';
import { answerPage, pageRequestOf } from '../pages.ts';
import { emptyBody, noContent, pageOf, pageQuery, refParams, tenantQuery } from '../common-schema.ts';
import { connection, connectionChange, newConnection, testResult } from '../connection-schema.ts';

const tags = ['connections'];

export function addConnectionRoutes(app: ApiApp, deps: ApiDeps): void {
  const { connections, tenants } = deps.store;
  const scope = queryScope(tenants);

  app.post(
    '/v1/connections',
    {
      config: { access: 'editor' },
      schema: { tags, summary: 'Link a database', body: newConnection, response: { 201: connection } },
    },
    async (request, reply) => {
      const { tenantId, ...wanted } = request.body;
      if (isTenants(request)) requireClass(wanted.workerClass, null);
      const owner = await scopeOf(request, tenants, tenantId, '/tenantId');
      await refuseForbiddenHost(deps, wanted.host);
      const { port = connectionKinds[wanted.kind].defaultPort } = wanted;
      const made = await connections.create(owner, { ...wanted, port });
      setEtag(reply, made.version);
      return reply.code(201).header('location', `/v1/connections/${made.id}`).send(made);
    },
  );
  app.get(
    '/v1/connections',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'List connections',
        querystring: pageQuery,
        response: { 200: pageOf(connection) },
      },
    },
    async (request, reply) => {
      const page = await connections.list(await scope(request), pageRequestOf(request.query));
      return answerPage(request, reply, page, (item) => item);
    },
  );
  app.get(
    '/v1/connections/:ref',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Read a connection',
        params: refParams,
        querystring: tenantQuery,
        response: { 200: connection },
      },
    },
    async (request, reply) => {
      const found = await connections.fetch(await scope(request), request.params.ref);
      setEtag(reply, found.version);
      return found;
    },
  );
  app.patch(
    '/v1/connections/:ref',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'Change a connection',
        params: refParams,
        querystring: tenantQuery,
        body: connectionChange,
        response: { 200: connection },
      },
    },
    async (request, reply) => {
      const { workerClass, ...wanted } = request.body;
      const { ref } = request.params;
      const within = await scope(request);
      const isTheirs = isTenants(request);
      if (isTheirs && workerClass !== undefined)
        requireClass(workerClass, (await connections.fetch(within, ref)).workerClass);
      if (wanted.host !== undefined) await refuseForbiddenHost(deps, wanted.host);
      const change = isTheirs ? wanted : request.body;
      const changed = await connections.update(within, ref, change, ifMatchOf(request));
      setEtag(reply, changed.version);
      return changed;
    },
  );
  app.delete(
    '/v1/connections/:ref',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'Delete a connection that no sync uses',
        params: refParams,
        querystring: tenantQuery,
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      await connections.delete(await scope(request), request.params.ref, ifMatchOf(request));
      return reply.code(204).send();
    },
  );
  app.post(
    '/v1/connections/:ref/test',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Connect, log in and read the version',
        params: refParams,
        querystring: tenantQuery,
        body: emptyBody,
        response: { 200: testResult },
      },
    },
    async (request) => {
      const { id } = await connections.fetch(await scope(request), request.params.ref);
      return { ok: true as const, ...(await deps.tester.test(id)) };
    },
  );
}

/** A name that does not resolve from here may resolve from the workers: only what is known to be forbidden is refused. */
async function refuseForbiddenHost({ hostGuard }: ApiDeps, host: string): Promise<void> {
  await hostGuard.resolve(host).catch((error: unknown) => {
    if (hasCode(error, 'HOST_NOT_ALLOWED'))
      throw new PenstockError('HOST_NOT_ALLOWED', (error as Error).message, {
        pointer: '/host',
        cause: error,
      });
  });
}

const isTenants = (request: FastifyRequest): boolean => callerOf(request).tenantId !== null;

/**
 * Workers of a class may reach what others must not: a tenant that chose its workers could look into another's network. An
 * answer that is sent back names the class that it has.
 */
function requireClass(wanted: string | null | undefined, present: string | null): void {
  if (wanted === undefined || wanted === present) return;
  throw new PenstockError(
    'FORBIDDEN',
    'workerClass is set with an operator’s key only: leave it out, and ask the operator for the class',
    { pointer: '/workerClass' },
  );
}
