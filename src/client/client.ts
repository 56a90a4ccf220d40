/** The API as functions, for producers: `const run = await client.syncs.trigger('subscribers'); await run.result()`. */
import type { ApiKeyRole } from '../domain/access.ts';
import type { ConnectionKind } from '../domain/connection-kinds.ts';
import type { ResetWay } from '../domain/reset-ways.ts';
import type { RunOrigin, RunStatus } from '../domain/run-states.ts';
import type { SyncPlan } from '../domain/sync-plan.ts';
import type { OnRunning } from '../domain/trigger.ts';
import type { VerifyReport } from '../domain/verify-report.ts';
import type { SyncSpecInput } from '../domain/sync-spec.ts';
import type {
  ApiKeyAnswer,
  BackfillAnswer,
  CadenceAnswer,
  ConnectionAnswer,
  Page,
  PauseAnswer,
  RejectAnswer,
  ResetPreviewAnswer,
  RunAnswer,
  RunAttemptAnswer,
  RunEventAnswer,
  RunExplanationAnswer,
  SlotAnswer,
  SyncAnswer,
  TenantAnswer,
} from './answers.ts';
import { createSend, type ClientOptions, type Send } from './request.ts';
import { createRunHandle, type RunHandle } from './run-handle.ts';

/** For operators' keys: whose it is (id or name). A tenant's key implies it. */
export interface Whose {
  readonly tenantId?: string | undefined;
}
export interface PageQuery extends Whose {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}
export interface ConnectionInput extends Whose {
  readonly name: string;
  readonly kind: ConnectionKind;
  readonly host: string;
  readonly port?: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly tls?: { readonly mode: 'disable' | 'require' | 'verify-full'; readonly ca?: string };
  readonly maxRuns?: number;
  readonly startsPerMinute?: number | null;
  readonly rowsPerSecond?: number | null;
  readonly bytesPerSecond?: number | null;
}
/** Absent members are as they were, or usual. */
export interface TenantChange {
  readonly weight?: number;
  readonly maxRuns?: number;
  readonly minInterval?: string | null;
  readonly order?: 'deadline' | 'strict';
}
export interface TriggerOptions extends Whose {
  /** 1 first … 5 last; the sync's by default. */
  readonly priority?: number | undefined;
  /** The same key gives the same run, whoever sends it. */
  readonly requestKey?: string | undefined;
  /** When it is due, ISO 8601; or `in` after how long, such as `90s`. Now by default. */
  readonly at?: string | undefined;
  readonly in?: string | undefined;
  /** While a run of the sync is open. */
  readonly onRunning?: OnRunning | undefined;
  /** Triggers with one key are one run, due when the key has been quiet for so long. */
  readonly debounce?: { readonly key: string; readonly for: string } | undefined;
}
export interface BackfillOptions extends Whose {
  /** Rows whose cursor is above `from`, up to and with `to`. */
  readonly from: string;
  readonly to: string;
  /** How much one run reads: a duration, or a whole number; all by default. */
  readonly every?: string | undefined;
  /** The same key gives the same backfill. */
  readonly requestKey?: string | undefined;
}
export interface PauseTerms {
  readonly reason?: string | undefined;
  /** ISO 8601; until resumed by default. */
  readonly until?: string | undefined;
}
export interface RunFilter extends PageQuery {
  /** Id or name. */
  readonly syncId?: string | undefined;
  readonly status?: readonly RunStatus[] | undefined;
  readonly origin?: RunOrigin | undefined;
}

export type Client = ReturnType<typeof createClient>;

/** A client; it holds no connection, so there is nothing to close. */
export function createClient(options: ClientOptions) {
  const send = createSend(options);
  return {
    tenants: tenantsOf(send),
    pauses: pausesOf(send),
    apiKeys: apiKeysOf(send),
    connections: connectionsOf(send),
    syncs: syncsOf(send),
    schedules: schedulesOf(send),
    runs: runsOf(send),
    backfills: backfillsOf(send),
  };
}

const at = (collection: string, ref: string): string => `/v1/${collection}/${encodeURIComponent(ref)}`;
const whose = ({ tenantId }: Whose = {}): { query: { tenantId: string | undefined } } => ({
  query: { tenantId },
});

const tenantsOf = (send: Send) => ({
  create: (tenant: { name: string } & TenantChange) =>
    send<TenantAnswer>('POST', '/v1/tenants', { body: tenant }),
  fetch: (ref: string) => send<TenantAnswer>('GET', at('tenants', ref)),
  /** Holds from the next start on. */
  update: (ref: string, change: TenantChange, { ifVersion }: { ifVersion?: number } = {}) =>
    send<TenantAnswer>('PATCH', at('tenants', ref), { body: change, ifVersion }),
  list: (query: Omit<PageQuery, 'tenantId'> = {}) =>
    send<Page<TenantAnswer>>('GET', '/v1/tenants', { query: { ...query } }),
  /** Due times of its syncs are recorded and not run. */
  pause: (ref: string, terms: PauseTerms = {}) =>
    send<PauseAnswer>('POST', `${at('tenants', ref)}/pause`, { body: terms }),
  resume: (ref: string) => send<void>('POST', `${at('tenants', ref)}/resume`),
});

const pausesOf = (send: Send) => ({
  /** Those in force, of syncs, tenants and all. */
  list: (query: PageQuery = {}) => send<Page<PauseAnswer>>('GET', '/v1/pauses', { query: { ...query } }),
  /** Pauses every tenant. */
  pauseAll: (terms: PauseTerms = {}) => send<PauseAnswer>('POST', '/v1/pause', { body: terms }),
  resumeAll: () => send<void>('POST', '/v1/resume'),
});

const apiKeysOf = (send: Send) => ({
  /** `key` is never to be had again. */
  create: (apiKey: Whose & { name: string; role: ApiKeyRole; expiresAt?: string | null }) =>
    send<ApiKeyAnswer & { key: string }>('POST', '/v1/api-keys', { body: apiKey }),
  list: (query: PageQuery = {}) => send<Page<ApiKeyAnswer>>('GET', '/v1/api-keys', { query: { ...query } }),
  revoke: (id: string, of?: Whose) => send<ApiKeyAnswer>('DELETE', at('api-keys', id), whose(of)),
});

const connectionsOf = (send: Send) => ({
  create: (connection: ConnectionInput) =>
    send<ConnectionAnswer>('POST', '/v1/connections', { body: connection }),
  fetch: (ref: string, of?: Whose) => send<ConnectionAnswer>('GET', at('connections', ref), whose(of)),
  list: (query: PageQuery = {}) =>
    send<Page<ConnectionAnswer>>('GET', '/v1/connections', { query: { ...query } }),
  update: (
    ref: string,
    change: Partial<Omit<ConnectionInput, 'kind' | 'tenantId'>> & { coolUntil?: string | null },
    { ifVersion, ...of }: Whose & { ifVersion?: number } = {},
  ) => send<ConnectionAnswer>('PATCH', at('connections', ref), { ...whose(of), body: change, ifVersion }),
  delete: (ref: string, of?: Whose) => send<void>('DELETE', at('connections', ref), whose(of)),
  /** Connects and logs in. */
  test: (ref: string, of?: Whose) =>
    send<{ ok: true; version: string; elapsedMs: number }>(
      'POST',
      `${at('connections', ref)}/test`,
      whose(of),
    ),
});

/** A source may take its time to describe a query. */
const mayThink = { waitS: 60 };

const syncsOf = (send: Send) => ({
  create: (spec: SyncSpecInput & Whose) => send<SyncAnswer>('POST', '/v1/syncs', { body: spec }),
  fetch: (ref: string, of?: Whose) => send<SyncAnswer>('GET', at('syncs', ref), whose(of)),
  list: (query: PageQuery & { name?: string; connectionId?: string } = {}) =>
    send<Page<SyncAnswer>>('GET', '/v1/syncs', { query: { ...query } }),
  /** Gives it its next spec. */
  replace: (ref: string, spec: SyncSpecInput, { ifVersion, ...of }: Whose & { ifVersion?: number } = {}) =>
    send<SyncAnswer>('PUT', at('syncs', ref), { ...whose(of), body: spec, ifVersion }),
  /** Merges members into its spec; null removes one. */
  update: (
    ref: string,
    patch: Readonly<Record<string, unknown>>,
    { ifVersion, ...of }: Whose & { ifVersion?: number } = {},
  ) => send<SyncAnswer>('PATCH', at('syncs', ref), { ...whose(of), body: patch, ifVersion }),
  delete: (ref: string, of?: Whose) => send<void>('DELETE', at('syncs', ref), whose(of)),
  /** Queues a run, or takes one that waits already. */
  trigger: async (ref: string, { tenantId, ...body }: TriggerOptions = {}): Promise<RunHandle> => {
    const of = { tenantId };
    const { id } = await send<{ id: string }>('POST', `${at('syncs', ref)}/trigger`, { ...whose(of), body });
    return createRunHandle(send, id);
  },
  /** Reads a stretch of its cursor again, part by part. */
  backfill: (ref: string, { tenantId, ...body }: BackfillOptions) =>
    send<BackfillAnswer>('POST', `${at('syncs', ref)}/backfill`, { ...whose({ tenantId }), body }),
  pause: (ref: string, { reason, until, ...of }: Whose & PauseTerms = {}) =>
    send<SyncAnswer>('POST', `${at('syncs', ref)}/pause`, { ...whose(of), body: { reason, until } }),
  resume: (ref: string, of?: Whose) => send<SyncAnswer>('POST', `${at('syncs', ref)}/resume`, whose(of)),
  /** Lets its next due time be recorded and not run; `skip: false` takes that back. */
  skipNext: (
    ref: string,
    { skip, nominalAt, ...of }: Whose & { skip?: boolean; nominalAt?: string | undefined } = {},
  ) => send<SyncAnswer>('POST', `${at('syncs', ref)}/skip-next`, { ...whose(of), body: { skip, nominalAt } }),
  /** Lets its next due time start later; null: at its time again. */
  moveNext: (
    ref: string,
    to: string | null,
    { nominalAt, ...of }: Whose & { nominalAt?: string | undefined } = {},
  ) => send<SyncAnswer>('POST', `${at('syncs', ref)}/move-next`, { ...whose(of), body: { to, nominalAt } }),
  /** What a reset would meet: unfinished rows, cursor, tables with their rows. */
  describeReset: (ref: string, of?: Whose) =>
    send<ResetPreviewAnswer>('GET', `${at('syncs', ref)}/reset`, whose(of)),
  /** Forgets what it has read, keeps its cursor, or accepts an unfinished load. */
  reset: (ref: string, { how, deleteRows, ...of }: Whose & { how?: ResetWay; deleteRows?: boolean } = {}) =>
    send<{ id: string; how: ResetWay }>('POST', `${at('syncs', ref)}/reset`, {
      ...whose(of),
      body: { how, deleteRows },
    }),
  /** The rows that its target has refused, oldest first. */
  rejects: (ref: string, { settled, ...query }: PageQuery & { settled?: boolean } = {}) =>
    send<Page<RejectAnswer>>('GET', `${at('syncs', ref)}/rejects`, {
      query: { ...query, ...(settled && { settled: 'true' }) },
    }),
  /** Queues a run that tries them again. */
  retryRejects: (ref: string, of?: Whose) =>
    send<{ id: string; status: RunStatus }>('POST', `${at('syncs', ref)}/rejects/retry`, {
      ...whose(of),
      body: {},
    }),
  /** What its next run would do, or would do after a change (a JSON merge patch of its spec). Writes nothing. */
  plan: (ref: string, { patch = {}, ...of }: Whose & { patch?: Readonly<Record<string, unknown>> } = {}) =>
    send<SyncPlan>('POST', `${at('syncs', ref)}/plan`, { ...whose(of), body: patch, ...mayThink }),
  /** What a run of a spec that is no sync yet would do. */
  planNew: (spec: SyncSpecInput & Whose) =>
    send<SyncPlan>('POST', '/v1/syncs/plan', { body: spec, ...mayThink }),
  /** Compares what it has written with its source, for `maxSeconds` at most. */
  verify: (
    ref: string,
    { maxExamples, maxSeconds, ...of }: Whose & { maxExamples?: number; maxSeconds?: number } = {},
  ) =>
    send<VerifyReport>('POST', `${at('syncs', ref)}/verify`, {
      ...whose(of),
      body: { maxExamples, maxSeconds },
      ...(maxSeconds !== undefined && { waitS: maxSeconds }),
    }),
  /** Its next due times; none for one that comes after another, or is only triggered. */
  next: async (ref: string, { count, ...of }: Whose & { count?: number } = {}) =>
    (
      await send<{ items: string[] }>('GET', `${at('syncs', ref)}/schedule/next`, {
        query: { ...whose(of).query, count },
      })
    ).items,
  /** What its newest due times asked for and what ran. */
  cadence: (ref: string, { last, ...of }: Whose & { last?: number } = {}) =>
    send<CadenceAnswer>('GET', `${at('syncs', ref)}/cadence`, { query: { ...whose(of).query, last } }),
  slots: (ref: string, query: PageQuery = {}) =>
    send<Page<SlotAnswer>>('GET', `${at('syncs', ref)}/slots`, { query: { ...query } }),
});

const schedulesOf = (send: Send) => ({
  /** The next times of a schedule that no sync has yet, after `from` (now). */
  preview: async (
    schedule: SyncSpecInput['schedule'],
    { from, count }: { from?: string; count?: number } = {},
  ) =>
    (
      await send<{ items: string[] }>('POST', '/v1/schedules/preview', {
        body: { schedule, from, count },
      })
    ).items,
});

const backfillsOf = (send: Send) => ({
  fetch: (id: string, of?: Whose) => send<BackfillAnswer>('GET', at('backfills', id), whose(of)),
  list: (query: PageQuery & { syncId?: string } = {}) =>
    send<Page<BackfillAnswer>>('GET', '/v1/backfills', { query: { ...query } }),
  /** Ends it and cancels the part in hand; what the parts before have written stays. */
  cancel: (id: string, of?: Whose) =>
    send<BackfillAnswer>('POST', `${at('backfills', id)}/cancel`, whose(of)),
});

const runsOf = (send: Send) => ({
  /** A handle of a run that is there. */
  of: (id: string): RunHandle => createRunHandle(send, id),
  fetch: (id: string) => send<RunAnswer>('GET', at('runs', id)),
  /** Why it is not at work. */
  explain: (id: string) => send<RunExplanationAnswer>('GET', `${at('runs', id)}/explain`),
  /** Moves a run that waits. */
  setPriority: (id: string, priority: number) =>
    send<RunAnswer>('PATCH', at('runs', id), { body: { priority } }),
  list: (filter: RunFilter = {}) => send<Page<RunAnswer>>('GET', '/v1/runs', { query: { ...filter } }),
  events: (id: string, query: PageQuery = {}) =>
    send<Page<RunEventAnswer>>('GET', `${at('runs', id)}/events`, { query: { ...query } }),
  /** What became of each attempt at a partition, newest first. */
  attempts: (id: string, query: PageQuery = {}) =>
    send<Page<RunAttemptAnswer>>('GET', `${at('runs', id)}/attempts`, { query: { ...query } }),
});
