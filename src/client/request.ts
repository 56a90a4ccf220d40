/**
 * One request to the API. A POST always has an Idempotency-Key, so that it may be sent again when its answer is lost;
 * PUT, PATCH and DELETE are sent once. Problems become errors with the API's code.
 */
import { errorTable, PenstockError, type ErrorCode } from '../domain/errors.ts';

export interface ClientOptions {
  /** Where the API is, such as `https://penstock.example.com`. */
  readonly url: string;
  readonly apiKey: string;
  /** Times that a request is sent when the API does not answer. */
  readonly attempts?: number;
  /** For tests. */
  readonly fetch?: typeof fetch;
}

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string | number | readonly string[] | undefined>>;
  readonly body?: unknown;
  /** Seconds that the API may hold the answer back. */
  readonly waitS?: number;
  /** Version that a change insists on. */
  readonly ifVersion?: number | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type Send = <T>(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  options?: RequestOptions,
) => Promise<T>;

const defaultAttempts = 4;
const firstPauseMs = 200;
/** An answer that takes longer than this, beside what it was allowed to wait, is lost. */
const answerWithinMs = 30_000;

/** A function that sends requests. */
export function createSend({
  url,
  apiKey,
  attempts = defaultAttempts,
  fetch: ask = fetch,
}: ClientOptions): Send {
  return async <T>(method: string, path: string, options: RequestOptions = {}): Promise<T> => {
    const target = urlOf(url, path, options.query);
    const init = initOf({ method, apiKey }, options);
    const tries = method === 'GET' || method === 'POST' ? attempts : 1;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await answerOf<T>(await ask(target, { ...init, signal: signalOf(options) }));
      } catch (error) {
        const failure = options.signal?.aborted ? options.signal.reason : networkError(error, url);
        if (attempt >= tries || !mayPass(failure)) throw failure;
      }
      await pause(firstPauseMs * 2 ** (attempt - 1), options.signal);
    }
  };
}

function urlOf(base: string, path: string, query: RequestOptions['query'] = {}): string {
  const url = new URL(`${base.replace(/\/+$/, '')}${path}`);
  for (const [name, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? (value as readonly string[]) : [value])
      if (one !== undefined) url.searchParams.append(name, String(one));
  return url.href;
}

/** The same for every attempt, its Idempotency-Key too. */
function initOf(
  { method, apiKey }: { method: string; apiKey: string },
  { body, waitS, ifVersion, idempotencyKey }: RequestOptions,
): RequestInit {
  const headers = new Headers({ authorization: `Bearer ${apiKey}`, accept: 'application/json' });
  if (body !== undefined) headers.set('content-type', 'application/json');
  if (waitS !== undefined) headers.set('prefer', `wait=${waitS}`);
  if (ifVersion !== undefined) headers.set('if-match', `"${ifVersion}"`);
  if (method === 'POST') headers.set('idempotency-key', idempotencyKey ?? crypto.randomUUID());
  return { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
}

function signalOf({ waitS = 0, signal }: RequestOptions): AbortSignal {
  const late = AbortSignal.timeout(answerWithinMs + waitS * 1000);
  return signal ? AbortSignal.any([signal, late]) : late;
}

async function answerOf<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '');
  const answer: unknown = isJson ? JSON.parse(text) : undefined;
  if (response.ok && answer !== undefined) return answer as T;
  throw problemError(response.status, answer);
}

function problemError(status: number, answer: unknown): PenstockError {
  const { code, detail, pointer, meta, requestId } = (answer ?? {}) as {
    code?: string;
    detail?: string;
    pointer?: string;
    meta?: Record<string, string | number | boolean | null>;
    requestId?: string;
  };
  const known = code !== undefined && Object.hasOwn(errorTable, code);
  const fallback: ErrorCode = status >= 502 && status <= 504 ? 'UNAVAILABLE' : 'INTERNAL';
  return new PenstockError(
    known ? (code as ErrorCode) : fallback,
    detail ?? `The API answered ${status} without a problem that is understood`,
    {
      ...(pointer === undefined ? {} : { pointer }),
      meta: { ...meta, status, ...(requestId === undefined ? {} : { requestId }) },
    },
  );
}

function networkError(error: unknown, url: string): unknown {
  if (error instanceof PenstockError) return error;
  return new PenstockError('UNAVAILABLE', `The API at ${url} does not answer`, { cause: error });
}

/** A first request that is still at work is answered CONFLICT: its answer is there a moment later. */
const mayPass = (error: unknown): boolean => {
  const { code, pointer } = error as { code?: unknown; pointer?: unknown };
  return (
    code === 'UNAVAILABLE' ||
    code === 'ENGINE_UNREACHABLE' ||
    (code === 'CONFLICT' && pointer === '/headers/idempotency-key')
  );
};

const pause = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      },
      { once: true },
    );
  });
