/** The control database's stores over a fresh database, with what they told the index and the engine kept for a look. */
import { newId, type RunId, type TenantId } from '../../src/domain/ids.ts';
import { syncSpecSchema, type SyncSpec, type SyncSpecInput } from '../../src/domain/sync-spec.ts';
import type { NewConnection } from '../../src/ports/connection-store.ts';
import type { ControlStore } from '../../src/ports/control-store.ts';
import type {
  ConnectionLimits,
  DueEntry,
  RunOffer,
  ScheduleAnnouncer,
  TenantLimits,
} from '../../src/ports/schedule-index.ts';
import type { Scope } from '../../src/ports/scope.ts';
import type { SecretBox } from '../../src/ports/secret-box.ts';
import { createControlStore } from '../../src/storage/control-store.ts';
import { createSecretBox } from '../../src/storage/secret-box.ts';
import { createControlDatabase, type ControlDatabase } from './control-database.ts';
import { createKeptLogger } from './kept-logger.ts';

export interface ControlFixture extends ControlDatabase {
  readonly store: ControlStore;
  readonly secretBox: SecretBox;
  readonly operator: Scope;
  /** What the index heard, oldest first. */
  readonly heard: {
    due: DueEntry[];
    offered: RunOffer[];
    released: RunId[];
    limits: (TenantLimits | ConnectionLimits)[];
  };
  /** What workflows were told: `cancel <workflow id>`. */
  readonly told: string[];
  /** Log lines. */
  readonly lines: string[];
  /** While set, index and engine do not answer. */
  readonly away: { value: boolean };
  /** Forgets what was heard, told and logged. */
  readonly forget: () => void;
  /** Makes a tenant with a connection `warehouse`. */
  readonly addTenant: (name: string) => Promise<Scope & { tenantId: TenantId }>;
}

export const aConnection = (over: Partial<NewConnection> = {}): NewConnection => ({
  name: 'warehouse',
  kind: 'postgres',
  host: 'db.example.com',
  port: 5432,
  database: 'shop',
  user: 'reader',
  tls: { mode: 'verify-full' },
  password: 'hush',
  ...over,
});

/** A complete spec from `warehouse` to `warehouse`. */
export const aSpec = (over: Partial<SyncSpecInput> = {}): SyncSpec =>
  syncSpecSchema.parse({
    name: 'subscribers',
    source: { connection: 'warehouse', query: 'select id from users' },
    destination: { connection: 'warehouse', table: 'sync.subscribers' },
    mode: 'append',
    key: ['id'],
    ...over,
  });

/** Each hour, the last time half an hour ago: none passes while a test looks. */
export const hourly = (() => {
  const lastMs = Date.now() - 30 * 60_000;
  const startAt = new Date(lastMs - 1_000 * 3_600_000).toISOString();
  return { schedule: { every: '1h', startAt }, lastMs } as const;
})();

/**
 * Everything fresh; `drop` ends it.
 * @param index hears the news instead of the fixture
 */
export async function createControlFixture(index?: ScheduleAnnouncer): Promise<ControlFixture> {
  const database = await createControlDatabase();
  const { logger, lines } = createKeptLogger();
  const secretBox = createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 1) }]);
  const heard: ControlFixture['heard'] = { due: [], offered: [], released: [], limits: [] };
  const told: string[] = [];
  const away = { value: false };
  const unlessAway = (note: () => void) => async (): Promise<void> => {
    if (away.value) throw new Error('it is away');
    note();
  };
  const tell = (what: string) => async (workflowId: string) => {
    await unlessAway(() => told.push(`${what} ${workflowId}`))();
    return 'asked' as const;
  };
  const store = createControlStore({
    pool: database.pool,
    secretBox,
    logger,
    announcer: index ?? {
      publishDue: (entries) => unlessAway(() => heard.due.push(...entries))(),
      offerRuns: (runs) => unlessAway(() => heard.offered.push(...runs))(),
      releaseRuns: (ids) => unlessAway(() => heard.released.push(...ids))(),
      saveLimits: ({ tenants = [], connections = [] }) =>
        unlessAway(() => heard.limits.push(...tenants, ...connections))(),
    },
    starter: { cancel: tell('cancel'), pause: tell('pause'), resume: tell('resume') },
  });
  const operator: Scope = { tenantId: null, apiKeyId: newId('apiKey') };
  return {
    ...database,
    store,
    secretBox,
    operator,
    heard,
    told,
    lines,
    away,
    forget: () => {
      away.value = false;
      for (const list of [...Object.values(heard), told, lines]) list.length = 0;
    },
    addTenant: async (name) => {
      const { id } = await store.tenants.create(operator, { name, weight: 1 });
      const scope = { tenantId: id, apiKeyId: newId('apiKey') };
      await store.connections.create(scope, aConnection());
      return scope;
    },
  };
}
