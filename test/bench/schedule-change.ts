/**
 * How soon a schedule that was created, changed or deleted over the API takes effect: from its commit, as Postgres notes it,
 * to the command in Redis that tells every dispatcher. The API and the dispatcher are processes of their own.
 *
 *   npm run bench schedule-change [-- --rounds=500 --schedules=20000 --perSecond=100]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { createClient, type Client } from '../../src/client/client.ts';
import { findFreePort } from '../../src/dev/free-port.ts';
import { createOperatorKey } from '../../src/workers/administer.ts';
import { startPenstock, type PenstockProcess } from '../support/penstock-process.ts';
import { waitUntil } from '../support/wait-until.ts';
import { atMost, type SubjectResult } from './support/bench-report.ts';
import { onDispatchStage, type DispatchStage } from './support/dispatch-stage.ts';
import { numberFlag } from './support/flags.ts';
import { lagsOf } from './support/measured-dispatcher.ts';
import { plantSchedules } from './support/planted-schedules.ts';

/** In each one sync is created, changed and deleted, and another one falls due a second after it was created. */
const rounds = numberFlag('rounds', 500);
const perSecond = numberFlag('perSecond', 100);
const schedules = numberFlag('schedules', 20_000);
const producers = 8;
const changesARound = 4;

const kinds = ['created', 'changed', 'deleted'] as const;
type Kind = (typeof kinds)[number];

await onDispatchStage(
  async (stage) => {
    const farMs = Date.now() + 86_400_000;
    await plantSchedules(stage.controlUrl, {
      count: schedules,
      fromMs: farMs,
      apartMs: 100,
      everySeconds: 86_400,
    });
    const dispatcher = await stage.startDispatcher();
    const api = await startApi(stage);
    const watch = await watchIndex(stage.redisUrl);
    const startedMs = performance.now();
    const syncIds = await changeSchedules(api.client);
    const seconds = (performance.now() - startedMs) / 1_000;
    const started = await dispatcher.takeStartsUntil(rounds, 0);
    const effects = await measureEffects(stage.controlUrl, syncIds, watch.told);
    watch.end();
    api.process.process.kill('SIGTERM');
    await Promise.all([api.process.ended, dispatcher.stop()]);

    const none = { runs: 1, rssMiB: null, rssIdleMiB: null, cpuSeconds: null };
    const subjects: SubjectResult[] = kinds.map((kind) => ({
      ...none,
      subject: `penstock (${kind}: in the index after its commit)`,
      startsPerSecond: effects[kind].length / seconds,
      lagMs: lagsOf(effects[kind]),
      seconds: [seconds],
    }));
    return {
      name: 'schedule-change',
      rows: rounds * changesARound,
      rowsAre: 'changes',
      subjects: [
        ...subjects,
        {
          ...none,
          subject: 'penstock (due a second after it was made: started)',
          ...started.figures,
          seconds: [started.seconds],
        },
      ],
      bars: kinds.map((kind, n) =>
        atMost(`p99 of index − commit, ${kind}, ms`, 100, subjects[n]!.lagMs!.p99),
      ),
    };
  },
  { track_commit_timestamp: 'on' },
);

async function startApi({
  controlUrl,
  redisUrl,
}: DispatchStage): Promise<{ client: Client; process: PenstockProcess }> {
  const port = await findFreePort();
  const process = startPenstock(['start', '--roles', 'api'], {
    PENSTOCK_DATABASE_URL: controlUrl,
    PENSTOCK_REDIS_URL: redisUrl,
    // No run of these ever comes to an engine.
    PENSTOCK_TEMPORAL_ADDRESS: '127.0.0.1:9',
    PENSTOCK_MASTER_KEY: `bench:${Buffer.alloc(32, 1).toString('base64')}`,
    PENSTOCK_API_PORT: String(port),
    PENSTOCK_ALLOWED_NETWORKS: '127.0.0.0/8',
    PENSTOCK_LOG_LEVEL: 'warn',
  });
  const url = `http://127.0.0.1:${port}`;
  await waitUntil('the API works with the index', async () => {
    const { checks } = (await (await fetch(`${url}/readyz`)).json()) as {
      checks: Record<string, { ok: boolean }>;
    };
    return checks['redis']?.ok === true;
  });
  const { key } = await createOperatorKey(controlUrl, { name: 'bench', role: 'admin' });
  return { client: createClient({ url, apiKey: key }), process };
}

/** Several producers at once, at an even pace. Resolves to the syncs that were created, changed and deleted. */
async function changeSchedules(client: Client): Promise<string[]> {
  const tenantId = (await client.tenants.create({ name: 'bench', maxRuns: 10_000 })).id;
  const connection = {
    kind: 'postgres',
    host: '127.0.0.1',
    database: 'x',
    user: 'x',
    password: 'x',
  } as const;
  const { id } = await client.connections.create({
    ...connection,
    tenantId,
    name: 'warehouse',
    maxRuns: 10_000,
  });
  const firstMs = performance.now();
  let turn = 0;
  const itsTurn = async (): Promise<void> => {
    turn += 1;
    await sleep(Math.max(0, firstMs + (turn / perSecond) * 1_000 - performance.now()));
  };
  const create = (name: string, schedule: { every: string } | { at: string }) =>
    client.syncs.create({
      tenantId,
      name,
      source: { connection: id, query: 'select 1 as n' },
      destination: { connection: id, table: name },
      mode: 'append',
      schedule,
    });
  const syncIds: string[] = [];
  const left = Array.from({ length: rounds }, (_, n) => n).values();
  const produce = async (): Promise<void> => {
    for (const n of left) {
      await itsTurn();
      const sync = await create(`changed_${n}`, { every: '6h' });
      syncIds.push(sync.id);
      await itsTurn();
      await client.syncs.update(
        sync.id,
        { schedule: { every: '7h' } },
        { tenantId, ifVersion: sync.version },
      );
      await itsTurn();
      await client.syncs.delete(sync.id, { tenantId });
      await itsTurn();
      await create(`soon_${n}`, { at: new Date(Date.now() + 1_000).toISOString() });
    }
  };
  await Promise.all(Array.from({ length: producers }, produce));
  return syncIds;
}

/** When Redis was told what of which sync, ms since the Unix epoch. */
async function watchIndex(url: string): Promise<{ told: Map<string, number[]>; end: () => void }> {
  const client = new Redis(url);
  const monitor = await client.monitor();
  const told = new Map<string, number[]>();
  monitor.on('monitor', (time: string, [command, key, ...args]: string[]) => {
    if (!key?.endsWith(':due') || !/^(zadd|zrem)$/i.test(command!)) return;
    const syncId = args.at(-1)!;
    told.set(syncId, [...(told.get(syncId) ?? []), Number(time) * 1_000]);
  });
  return {
    told,
    end: () => {
      monitor.disconnect();
      client.disconnect();
    },
  };
}

/** From each commit to what it changed in Redis, ms; both servers have the clock of this machine. */
async function measureEffects(
  controlUrl: string,
  syncIds: readonly string[],
  told: ReadonlyMap<string, readonly number[]>,
): Promise<Record<Kind, number[]>> {
  const pool = new Pool({ connectionString: controlUrl, max: 1 });
  try {
    const { rows } = await pool.query<{ id: string; kind: Kind; ms: number }>(
      `select sync_id as id, case version when 1 then 'created' else 'changed' end as kind,
         (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000)::float8 as ms
       from penstock.sync_version where sync_id = any($1) and version <= 2
       union all
       select id, 'deleted', (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000)::float8
       from penstock.sync where id = any($1)`,
      [syncIds],
    );
    const effects: Record<Kind, number[]> = { created: [], changed: [], deleted: [] };
    for (const { id, kind, ms } of rows) {
      const effectMs = told.get(id)?.[kinds.indexOf(kind)];
      if (effectMs === undefined) throw new Error(`Redis was not told that ${id} was ${kind}`);
      effects[kind].push(effectMs - ms);
    }
    return effects;
  } finally {
    await pool.end();
  }
}
