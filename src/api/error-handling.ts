/** Turns everything that goes wrong with a request into a problem, and logs what is ours to mend. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { codeOf, PenstockError, type ErrorCode } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ApiApp } from './api-app.ts';
import { problemOf, problemType } from './problem.ts';

/** What Fastify itself refuses, in the words of our table. */
const fastifyCodes: Record<string, [ErrorCode, string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['BODY_TOO_LARGE', 'the body is larger than 1 MiB'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['MEDIA_TYPE', 'the Content-Type is not application/json'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['BAD_REQUEST', 'the body is not JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['BAD_REQUEST', 'the body is not as long as Content-Length says'],
  FST_ERR_BAD_URL: ['BAD_REQUEST', 'the URL has a % that is not followed by two hexadecimal digits'],
};

/** The error of our table that a thrown value stands for. */
function translated(error: FastifyError): Error {
  const known = fastifyCodes[error.code];
  if (known) return new PenstockError(known[0], known[1], { cause: error });
  const isClients = codeOf(error) === 'INTERNAL' && (error.statusCode ?? 500) < 500;
  return isClients ? new PenstockError('BAD_REQUEST', error.message, { cause: error }) : error;
}

export function addErrorHandling(app: ApiApp, logger: Logger): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => answerError(error, request, reply, logger));
  app.setNotFoundHandler((request, reply) =>
    answerError(
      new PenstockError('NOT_FOUND', `there is no route ${request.method} ${pathOf(request)}`),
      request,
      reply,
      logger,
    ),
  );
}

/** Also for what fails before a route is found. */
export function answerError(
  error: Error,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Logger,
): FastifyReply {
  const mine = translated(error as FastifyError);
  const problem = problemOf(mine, request.id);
  if (problem.status >= 500)
    logger.error(
      { err: error, requestId: request.id, method: request.method, path: pathOf(request) },
      problem.title,
    );
  // What fails before a route is found has passed no hook.
  void reply.header('request-id', request.id);
  if (problem.status === 503) void reply.header('retry-after', '1');
  return reply.code(problem.status).type(problemType).serializer(JSON.stringify).send(problem);
}

/** Without the query, which may hold what a log should not. */
const pathOf = (request: FastifyRequest): string => request.url.split('?', 1)[0] ?? '';
