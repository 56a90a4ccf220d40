/** What the demo asks of Penstock, all of it through the HTTP API. */
import { PenstockError } from '../../domain/errors.ts';
import type { Receipt } from '../../domain/run-states.ts';
import type { SyncSpecInput } from '../../domain/sync-spec.ts';

/** A run, as the API describes it. */
export interface DemoRun {
  readonly id: string;
  readonly syncName: string;
  readonly workflowId: string;
  readonly status: string;
  readonly origin: string;
  readonly queuedAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly attempts: number;
  readonly progress: { readonly rows: number; readonly batches: number };
  readonly receipt: Receipt | null;
  readonly error: { readonly code: string; readonly message: string | null } | null;
  readonly links: { readonly temporal?: string };
}

/** A Postgres database on this machine, with the login that Penstock gets. */
export interface DemoConnection {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

export interface DemoApi {
  readonly createTenant: (name: string) => Promise<{ id: string }>;
  readonly createConnection: (tenantId: string, connection: DemoConnection) => Promise<{ id: string }>;
  readonly testConnection: (id: string) => Promise<unknown>;
  readonly createSync: (tenantId: string, spec: SyncSpecInput) => Promise<{ id: string }>;
  readonly pauseSync: (id: string) => Promise<unknown>;
  readonly trigger: (syncId: string) => Promise<{ id: string }>;
  readonly fetchRun: (id: string) => Promise<DemoRun>;
  /** Newest first. */
  readonly listRuns: (syncId: string) => Promise<readonly DemoRun[]>;
}

/** @param apiKey of an operator */
export function connectApi(apiUrl: string, apiKey: string): DemoApi {
  const call = async <T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> => {
    const response = await fetch(new URL(path, apiUrl), {
      method,
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as T & { code?: string; detail?: string };
    if (response.ok) return answer;
    throw new PenstockError(
      'UNAVAILABLE',
      `${method} ${path} was answered ${response.status} ${answer.code ?? ''}: ${answer.detail ?? ''}`,
    );
  };
  return {
    createTenant: (name) => call('POST', '/v1/tenants', { name }),
    createConnection: (tenantId, connection) =>
      call('POST', '/v1/connections', {
        tenantId,
        kind: 'postgres',
        tls: { mode: 'disable' },
        ...connection,
      }),
    testConnection: (id) => call('POST', `/v1/connections/${id}/test`, {}),
    createSync: (tenantId, spec) => call('POST', '/v1/syncs', { tenantId, ...spec }),
    pauseSync: (id) => call('POST', `/v1/syncs/${id}/pause`, { reason: 'the demo is over' }),
    trigger: (syncId) => call('POST', `/v1/syncs/${syncId}/trigger`, {}),
    fetchRun: (id) => call('GET', `/v1/runs/${id}`),
    listRuns: async (syncId) =>
      (await call<{ items: DemoRun[] }>('GET', `/v1/runs?syncId=${syncId}&limit=100`)).items,
  };
}
