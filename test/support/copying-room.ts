/**
 * A tenant with a source and a destination database, and real worker processes that copy between them: control
 * database, Redis and Temporal are real too. Runs are started as admit would, without a dispatcher.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { Pool } from 'pg';
import { childEnvironment } from '../../src/config/child-environment.ts';
import type { OptionName } from '../../src/config/options.ts';
import { compareRows, type Differences } from '../../src/dev/demo/compare-rows.ts';
import { Guard, type GuardedProcess } from '../../src/dev/guard.ts';
import type { RunId } from '../../src/domain/ids.ts';
import { syncSpecSchema, type SyncSpecInput } from '../../src/domain/sync-spec.ts';
import type { ControlStore } from '../../src/ports/control-store.ts';
import type { Run } from '../../src/ports/run-control.ts';
import type { RunToStart } from '../../src/ports/run-starter.ts';
import type { ScheduleAnnouncer } from '../../src/ports/schedule-index.ts';
import type { Scope } from '../../src/ports/scope.ts';
import { createControlStore } from '../../src/storage/control-store.ts';
import { createScheduleStore } from '../../src/storage/schedule-store.ts';
import { createSecretBox } from '../../src/storage/secret-box.ts';
import { connectClient } from '../../src/workers/temporal/connect-client.ts';
import type { PayloadKeys } from '../../src/workers/temporal/payload-codec.ts';
import { createRunStarter } from '../../src/workers/temporal/run-starter.ts';
import { createControlDatabase } from './control-database.ts';
import { createKeptLogger } from './kept-logger.ts';
import { createDatabase, createNamespace, createRedisDatabase } from './stack.ts';

export interface CopyingRoom {
  readonly scope: Scope;
  readonly store: ControlStore;
  /** Of the superuser. */
  readonly control: Pool;
  readonly source: Pool;
  readonly destination: Pool;
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly client: Client;
  /** Options of a role of this installation. */
  readonly environment: Readonly<Record<string, string>>;
  /** Tells this index from now on what the API would. */
  tell(index: ScheduleAnnouncer): void;
  /** The password of both connections. */
  readonly password: string;
  /** A sync from `source` into schema `synced` of `destination`; the table is made by its first load unless it is there. */
  addSync(spec: Pick<SyncSpecInput, 'name' | 'mode' | 'key'> & Partial<SyncSpecInput>): Promise<void>;
  /** Triggers the sync and starts its workflow. */
  startRun(sync: string): Promise<StartedRun>;
  /** Starts the workflow of a run that is queued. */
  startQueued(runId: RunId): Promise<StartedRun>;
  /** Lets a due time of the sync pass, and starts the workflow of its run. */
  startDue(sync: string): Promise<StartedRun>;
  /** Resumes a paused run, and lets it go on. */
  resumeRun(run: StartedRun): Promise<void>;
  /** Starts `penstock start --roles worker` as a process of its own. */
  startWorker(
    kind?: 'copy' | 'workflows' | 'all',
    options?: Partial<Record<OptionName, string>>,
  ): Promise<GuardedProcess>;
  /** Compares the query's result with a table, row by row. */
  compare(query: string, table: string, key: string): Promise<Differences>;
  /** Everything that the workers logged. */
  logs(): Promise<string>;
  /** Whether a worker has logged this of that run. */
  saysOf(runId: string, words: string): Promise<boolean>;
  close(): Promise<void>;
}

export interface StartedRun extends RunToStart {
  readonly handle: WorkflowHandle;
  /** The run's row, as the API shows it. */
  fetch(): Promise<Run>;
}

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const taskQueue = 'penstock';

/**
 * @param temporalAddress of a server; the shared one by default
 * @param payloadKeys with which the room's own client encrypts; workers get theirs as an option
 */
export async function createCopyingRoom(
  temporalAddress?: string,
  payloadKeys?: PayloadKeys,
): Promise<CopyingRoom> {
  const [control, sourceDb, destinationDb, redisUrl, temporal] = await Promise.all([
    createControlDatabase(),
    createDatabase(),
    createDatabase(),
    createRedisDatabase(),
    createNamespace(temporalAddress),
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'penstock-room-'));
  const guard = new Guard();
  const client = connectClient({ ...temporal, ...(payloadKeys && { payloadKeys }) });
  const starter = createRunStarter({ client, taskQueue });
  let index: ScheduleAnnouncer | undefined;
  const masterKey = randomBytes(32);
  const store = createControlStore({
    pool: control.pool,
    secretBox: createSecretBox([{ id: 'test', key: masterKey }]),
    logger: createKeptLogger().logger,
    announcer: {
      publishDue: async (entries) => index?.publishDue(entries),
      offerRuns: async (runs) => index?.offerRuns(runs),
      releaseRuns: async (runIds) => index?.releaseRuns(runIds),
      saveLimits: async (limits) => index?.saveLimits(limits),
    },
    starter,
  });
  const { id: tenantId } = await store.tenants.create(
    { tenantId: null, apiKeyId: null },
    { name: 'acme', weight: 1 },
  );
  const scope = { tenantId, apiKeyId: null };
  const password = `hush-${randomBytes(8).toString('hex')}`;
  const user = await createLogin(sourceDb.url, password);
  for (const [name, { url }] of Object.entries({ source: sourceDb, destination: destinationDb })) {
    const { hostname, port, pathname } = new URL(url);
    const target = { host: hostname, port: Number(port), database: pathname.slice(1), user, password };
    await store.connections.create(scope, { name, kind: 'postgres', tls: { mode: 'disable' }, ...target });
  }
  const [source, destination] = [sourceDb, destinationDb].map(
    ({ url }) => new Pool({ connectionString: url, max: 2 }),
  );
  for (const pool of [source!, destination!]) pool.on('error', () => {});
  await destination!.query('create schema synced');
  const env = childEnvironment({
    databaseUrl: control.url,
    redisUrl,
    temporalAddress: temporal.address,
    temporalNamespace: temporal.namespace,
    masterKey: `test:${masterKey.toString('base64')}`,
    allowedNetworks: '0.0.0.0/0,::/0',
    logLevel: 'debug',
  });
  const schedule = createScheduleStore(control.pool);
  let workers = 0;

  const logs = async (): Promise<string> => {
    const files = await readdir(folder);
    return (await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))).join('\n');
  };

  /** Starts a queued run as a dispatcher does. */
  async function begin(runId: RunId): Promise<StartedRun> {
    const [verdict] = await schedule.startRuns([runId]);
    if (verdict?.verdict !== 'start') throw new Error(`the run may not start: ${verdict?.verdict}`);
    await starter.start(verdict.run);
    const handle = client.workflow.getHandle(verdict.run.workflowId);
    return { ...verdict.run, handle, fetch: () => store.runs.fetch(scope, runId) };
  }

  return {
    scope,
    store,
    control: control.pool,
    source: source!,
    destination: destination!,
    temporal,
    client,
    environment: env,
    tell: (heard) => (index = heard),
    password,
    addSync: async (spec) => {
      const complete = syncSpecSchema.parse({
        source: { connection: 'source', query: `select * from ${spec.name}` },
        destination: { connection: 'destination', table: `synced.${spec.name}` },
        ...spec,
      });
      await store.syncs.create(scope, complete);
    },
    startRun: async (sync) => {
      const { run } = await store.runs.trigger(scope, sync, {
        requestKey: randomBytes(8).toString('hex'),
        priority: undefined,
      });
      return begin(run.id);
    },
    startQueued: begin,
    startDue: async (sync) => {
      const { id } = await store.syncs.fetch(scope, sync);
      await control.pool.query(
        `update penstock.sync set next_nominal_at = date_trunc('ms', clock_timestamp()),
           next_due_at = date_trunc('ms', clock_timestamp()) where id = $1`,
        [id],
      );
      const { settled } = await schedule.settle([id]);
      return begin(settled[0]!.offered[0]!.runId);
    },
    resumeRun: async ({ runId, workflowId }) => {
      await store.runs.resume(scope, runId);
      const [verdict] = await schedule.startRuns([runId]);
      if (verdict?.verdict !== 'go_on') throw new Error(`the run may not go on: ${verdict?.verdict}`);
      await starter.resume(workflowId);
    },
    startWorker: (kind = 'all', options = {}) =>
      guard.start({
        command: process.execPath,
        args: [cli, 'start', '--roles', 'worker', '--worker', kind],
        env: childEnvironment(options, env),
        logFile: join(folder, `worker-${++workers}.log`),
        stopSignal: 'SIGTERM',
        graceMs: 30_000,
        stage: 0,
      }),
    compare: (query, table, key) =>
      compareRows({
        source: { url: sourceDb.url, query },
        destination: { url: destinationDb.url, query: `select * from ${table}` },
        key: [key],
      }),
    logs,
    saysOf: async (runId, words) =>
      (await logs()).split('\n').some((line) => line.includes(words) && line.includes(runId)),
    close: async () => {
      await guard.kill();
      await Promise.all([source!.end(), destination!.end(), client.connection.close()]);
      await Promise.all([control.drop(), sourceDb.drop(), destinationDb.drop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A login of its own, so that its password is a secret that can be searched for. */
async function createLogin(url: string, password: string): Promise<string> {
  const user = `copier_${randomBytes(6).toString('hex')}`;
  const pool = new Pool({ connectionString: url, max: 1 });
  await pool.query(`create role ${user} superuser login password '${password}'`);
  await pool.end();
  return user;
}
