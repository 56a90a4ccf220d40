/** The API over a fresh control database, asked in-process. Databases of tenants are fakes at the port. */
import type { KeptReject } from '../../src/ports/destination.ts';
import type { LightMyRequestResponse } from 'fastify';
import type { ApiApp } from '../../src/api/api-app.ts';
import type { ApiDeps } from '../../src/api/api-deps.ts';
import { createApiServer } from '../../src/api/server.ts';
import { createHostGuard } from '../../src/config/host-guard.ts';
import type { ApiKeyRole } from '../../src/domain/access.ts';
import type { LoadId, TenantId } from '../../src/domain/ids.ts';
import { PenstockError } from '../../src/domain/errors.ts';
import type { SyncPlan } from '../../src/domain/sync-plan.ts';
import type { VerifyReport } from '../../src/domain/verify-report.ts';
import type { DependencyCheck } from '../../src/ports/dependency-check.ts';
import type { Fleet } from '../../src/ports/fleet.ts';
import type { ScheduleAnnouncer } from '../../src/ports/schedule-index.ts';
import { createControlFixture, type ControlFixture } from './control-fixture.ts';
import { fleetGauges, maintenanceGauges, runGauges } from '../../src/workers/gauge-sources.ts';
import { createPayloadTranslator } from '../../src/workers/temporal/payload-translator.ts';
import { createRunExplainer } from '../../src/storage/run-explainer.ts';
import { createFakeRunStarter } from './fake-run-starter.ts';
import { createKeptLogger } from './kept-logger.ts';
import { aReceipt } from './plant-run.ts';

/** An answer; `body` is parsed JSON, or undefined without one. */
export interface Answer {
  status: number;
  headers: LightMyRequestResponse['headers'];
  // eslint-disable-next-line typescript/no-explicit-any -- tests look into answers freely
  body: any;
  text: string;
}

export type Call = (
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  url: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer>;

export interface ApiFixture extends ControlFixture {
  readonly app: ApiApp;
  /** With no key at all. */
  readonly anonymous: Call;
  /** With an operator's key of the role admin. */
  readonly asOperator: Call;
  /** With a fresh key of the tenant, or of the operator. */
  readonly as: (tenantId: TenantId | null, role: ApiKeyRole) => Promise<Call>;
  /** What the databases of tenants were asked: `reset <sync id> {…}`. */
  readonly asked: string[];
  /** Errors that the databases of tenants answer next, each once. */
  readonly failures: Error[];
  readonly checks: DependencyCheck[];
  /** Log lines of the API. */
  readonly apiLines: string[];
}

const verified: VerifyReport = {
  equal: false,
  complete: true,
  sourceRows: 3,
  destinationRows: 2,
  missing: 1,
  extra: 0,
  different: 0,
  duplicated: 0,
  pending: 0,
  rejected: 0,
  deduplicated: 0,
  examples: [{ fault: 'missing', key: '(7)' }],
  loadedAt: '2026-01-01T00:00:00.000Z',
  unfinished: false,
};

const keptReject: KeptReject = {
  id: '7',
  loadId: 'lod_1',
  partition: 1,
  batch: 2,
  state: 'open',
  key: ['41'],
  rows: 1,
  columns: ['id', 'name'],
  values: ['41', null],
  sqlstate: '23514',
  column: null,
  constraint: 'no_bad_names',
  cause: 'new row violates check constraint "no_bad_names"',
  attempts: 2,
  firstSeenAt: '2026-01-01T00:00:00.000Z',
  lastSeenAt: '2026-01-02T00:00:00.000Z',
  settledAt: null,
};

const emptyPlan: SyncPlan = {
  ok: true,
  refusals: [],
  warnings: [],
  read: null,
  key: null,
  columns: [],
  target: null,
  locks: [],
  deletes: null,
  cursor: null,
  unfinishedLoad: null,
};

const refusalOf = ({ code, message, pointer }: PenstockError) => ({
  code,
  message,
  pointer: pointer ?? null,
  cure: '',
});

/** @param index hears the news instead of the fixture */
export async function createApiFixture(index?: ScheduleAnnouncer): Promise<ApiFixture> {
  const control = await createControlFixture(index);
  const { logger, lines: apiLines } = createKeptLogger();
  const asked: string[] = [];
  const failures: Error[] = [];
  const checks: DependencyCheck[] = [];
  const ask = async (question: string): Promise<void> => {
    asked.push(question);
    const failure = failures.shift();
    if (failure) throw failure;
  };
  const fleet: Fleet = {
    describe: async () => {
      await ask('fleet');
      return {
        workers: [
          {
            identity: '7@a',
            buildId: '0.1.0',
            lastSeenAt: '2026-01-01T00:00:00.000Z',
            workerClass: null,
            polls: ['copies'],
          },
        ],
        queues: [
          { name: 'penstock-copy', work: 'copies', workerClass: null, backlog: 3, backlogAgeMs: 1_500 },
        ],
      };
    },
  };
  const engine = createFakeRunStarter();
  const waiting = { explainRun: async () => Promise.reject(new PenstockError('UNAVAILABLE', 'no index')) };
  const deps: ApiDeps = {
    store: control.store,
    logger,
    checks,
    version: '0.0.0-test',
    fleet,
    payloads: createPayloadTranslator([{ id: 'p1', key: Buffer.alloc(32, 7) }]),
    gauges: [runGauges(control.pool), maintenanceGauges(control.pool), fleetGauges(fleet)],
    hostGuard: createHostGuard([], async (host) => {
      if (host.endsWith('.example.com')) return [{ address: '8.8.8.8' }];
      throw new Error('ENOTFOUND');
    }),
    tester: {
      test: async (id) => {
        await ask(`test ${id}`);
        return { version: 'PostgreSQL 16.1', elapsedMs: 3 };
      },
    },
    explainer: createRunExplainer({ pool: control.pool, index: waiting, starter: engine }),
    examiner: {
      verify: async ({ id }, { maxExamples }) => {
        await ask(`verify ${id} ${maxExamples}`);
        return verified;
      },
      plan: async ({ tenantId, id, spec, source, destination, refusals }) => {
        await ask(`plan ${spec.name} ${id ? 'again' : 'new'} ${source !== null} ${destination !== null}`);
        return {
          ...emptyPlan,
          ok: refusals.length === 0,
          warnings: [tenantId],
          refusals: refusals.map(refusalOf),
        };
      },
    },
    syncDestination: {
      listRejects: async (id, { settled, after }) => {
        await ask(`rejects ${id} ${settled} ${after}`);
        return { items: [keptReject], next: after === undefined ? '7' : null };
      },
      reset: (id, options) => ask(`reset ${id} ${JSON.stringify(options)}`),
      accept: (id) => ask(`accept ${id}`),
      keep: (id) => ask(`keep ${id}`),
      describe: async (id) => {
        await ask(`describe ${id}`);
        const committed = aReceipt({ read: 7, inserted: 7, batches: 1, bytes: 9 });
        return {
          unfinished: { loadId: 'lod_1' as LoadId, mode: 'append', staged: false, committed },
          cursorMovedAt: '2026-01-01T00:00:00.000Z',
          tables: [{ table: 'public.t', rows: 7, shared: false }],
        };
      },
    },
    links: {
      publicUrl: 'https://penstock.test',
      temporalUiUrl: 'https://temporal.test',
      temporalNamespace: 'default',
    },
  };
  const app = await createApiServer(deps);
  const calling =
    (key: string | undefined): Call =>
    async (method, url, body, headers = {}) => {
      const response = await app.inject({
        method,
        url,
        headers: { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...headers },
        ...(body === undefined ? {} : { payload: body as object }),
      });
      const isJson = String(response.headers['content-type'] ?? '').includes('json');
      return {
        status: response.statusCode,
        headers: response.headers,
        body: isJson && response.body !== '' ? response.json() : undefined,
        text: response.body,
      };
    };
  const as = async (tenantId: TenantId | null, role: ApiKeyRole): Promise<Call> => {
    const { key } = await control.store.apiKeys.create(
      { tenantId, apiKeyId: null },
      { name: role, role, expiresAt: null },
    );
    return calling(key);
  };
  return {
    ...control,
    app,
    anonymous: calling(undefined),
    asOperator: await as(null, 'admin'),
    as,
    asked,
    failures,
    checks,
    apiLines,
    drop: async () => {
      await app.close();
      await control.drop();
    },
  };
}
