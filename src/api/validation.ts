/** Validation of requests by the routes' zod schemas; what is wrong becomes one error with a pointer for each member. */
import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { PenstockError } from '../domain/errors.ts';
import type { Issue } from './problem.ts';

const prefixes: Record<string, string> = {
  body: '',
  querystring: '/query',
  params: '/params',
  headers: '/headers',
};

/** Fastify's hook for compiling a route's schema of body, query, params or headers. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const prefix = prefixes[httpPart ?? 'body'] ?? '';
  return (data: unknown) => {
    const result = schema.safeParse(data ?? (httpPart === 'body' ? {} : data));
    return result.success ? { value: result.data } : { error: invalid(result.error, prefix) };
  };
};

/** Parses a body that was put together later. Throws BAD_REQUEST as a refused request does. */
export function parseBody<T extends z.ZodType>(schema: T, data: unknown): z.output<T> {
  const result = schema.safeParse(data);
  if (!result.success) throw invalid(result.error, '');
  return result.data;
}

function invalid(error: z.ZodError, prefix: string): PenstockError {
  const issues = error.issues.flatMap(issuesOf);
  const [first] = issues as [Issue, ...Issue[]];
  const located = issues.map(({ pointer, detail }) => ({ pointer: `${prefix}${pointer}`, detail }));
  return Object.assign(
    new PenstockError('BAD_REQUEST', describe(first), { pointer: `${prefix}${first.pointer}` }),
    { issues: located },
  );
}

const describe = ({ pointer, detail }: Issue): string =>
  pointer === '' ? `the request: ${detail}` : `\`${pointer.slice(1).replaceAll('/', '.')}\`: ${detail}`;

/** RFC 6901. */
export const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** An unknown member is pointed at itself. */
function issuesOf(issue: z.core.$ZodIssue): Issue[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      pointer: pointerOf([...issue.path, key]),
      detail: 'there is no such member',
    }));
  return [{ pointer: pointerOf(issue.path), detail: issue.message }];
}
