/**
 * The demo: two real syncs on an embedded stack, one of them through the death of its worker, then a comparison of
 * source and destination, row by row and both ways. Everything is asked of Penstock through its HTTP API.
 */
import type { Client, RunAnswer } from '../../client/index.ts';
import { createCities } from './cities.ts';
import type { Differences } from './compare-rows.ts';
import { compareRows, isEqual } from './compare-rows.ts';
import { createDemoDatabases, type DemoDatabases } from './databases.ts';
import { killCopyingWorker } from './kill-worker.ts';
import type { Progress } from './progress.ts';
import { changeSubscribers, createSubscribers } from './subscribers.ts';
import { citiesSync, subscribersSync } from './sync-specs.ts';
import { awaitRun, followRun, listRuns } from './watch-runs.ts';

export interface DemoOutcome {
  /** Everything went as promised: runs succeeded, receipts add up, nothing differs. */
  readonly ok: boolean;
  /** No row differs between source and destination. */
  readonly equal: boolean;
  /** Of both syncs, oldest first. */
  readonly runs: readonly RunAnswer[];
}

interface Demo {
  readonly api: Client;
  /** Of the superuser: the server on which the demo's databases are created. */
  readonly postgresUrl: string;
  readonly controlUrl: string;
  readonly progress: Progress;
  /** Of the generated table. */
  readonly rows: number;
  readonly databases: DemoDatabases;
  readonly tenantId: string;
}

const counted = (rows: number): string => rows.toLocaleString('en-US');

/**
 * Runs the demo on a stack that has just been started for it.
 * @throws PenstockError when a step does not come to its end
 */
export async function runDemo(request: Omit<Demo, 'databases' | 'tenantId'>): Promise<DemoOutcome> {
  const { api, progress } = request;
  const databases = await createDemoDatabases(request.postgresUrl);
  const places = await fillWarehouse(databases.warehouse.adminUrl, request);
  const tenantId = await linkDatabases(api, databases, progress);
  const demo: Demo = { ...request, databases, tenantId };

  const cities = await copyCities(demo, places);
  const subscribers = await copySubscribers(demo);
  const changesArrived = await copyChanges(demo, subscribers);
  await api.syncs.pause(subscribers.syncId, { reason: 'the demo is over' });
  const equal = (await compareAll(demo)) && (await verifyAll(demo, [cities, subscribers.syncId]));

  const runs = [...(await listRuns(api, cities)), ...(await listRuns(api, subscribers.syncId))]
    .filter((run) => run.endedAt !== null)
    .toSorted((a, b) => a.queuedAt.localeCompare(b.queuedAt));
  const succeeded = runs.every((run) => run.status === 'succeeded');
  return { ok: equal && changesArrived && succeeded, equal, runs };
}

async function fillWarehouse(url: string, { progress, rows }: Pick<Demo, 'progress' | 'rows'>) {
  const citiesStep = progress.begin('acme-warehouse: table of places');
  const places = await createCities(url);
  citiesStep.end(`${counted(places)} rows, GeoNames`);
  const subscribersStep = progress.begin('acme-warehouse: table of subscribers');
  await createSubscribers(url, rows);
  subscribersStep.end(`${counted(rows)} generated rows with awkward values`);
  return places;
}

async function linkDatabases(api: Client, databases: DemoDatabases, progress: Progress): Promise<string> {
  const step = progress.begin('tenant acme, connections acme-warehouse and app-db');
  const tenant = await api.tenants.create({ name: 'acme' });
  const connections = await Promise.all(
    [databases.warehouse, databases.app].map(({ connection }) =>
      api.connections.create({ ...connection, tenantId: tenant.id }),
    ),
  );
  for (const { id } of connections) await api.connections.test(id);
  step.end('created and tested');
  return tenant.id;
}

/** One run by hand. Returns the sync's id. */
async function copyCities({ api, progress, tenantId }: Demo, places: number): Promise<string> {
  const step = progress.begin('sync cities (append, by hand)');
  const sync = await api.syncs.create({ ...citiesSync, tenantId });
  const { id } = await api.syncs.trigger(sync.id);
  const run = await followRun(api, id, places, step);
  step.end(describeRun(run));
  progress.say(describeLink(run));
  return sync.id;
}

interface CopiedSubscribers {
  readonly syncId: string;
  readonly firstRunId: string;
}

/** The first scheduled run, which loses its worker in the middle. */
async function copySubscribers(demo: Demo): Promise<CopiedSubscribers> {
  const { api, progress, tenantId, rows } = demo;
  const step = progress.begin('sync subscribers (upsert, every 5 s)');
  const spec = subscribersSync(rows);
  const sync = await api.syncs.create({ ...spec, tenantId });
  const { id: runId } = await awaitRun(api, sync.id, 'the first scheduled run', () => true);
  const killing = killCopyingWorker(
    {
      runId,
      controlUrl: demo.controlUrl,
      destinationUrl: demo.databases.app.adminUrl,
      isOver: async () => (await api.runs.fetch(runId)).endedAt !== null,
    },
    batchesBeforeKill,
    (pid) =>
      progress.say(
        `  kill -9 of worker ${pid}, which was copying: another one goes on when its heartbeat has run out (15 s)`,
      ),
  );
  const [kill, run] = await Promise.all([killing, followRun(api, runId, rows, step)]);
  step.end(describeRun(run));
  progress.say(describeLink(run));
  progress.say(
    kill
      ? `  the kill, after ${kill.batches} batches, cost ${kill.standstillSeconds.toFixed(1)} s until the other worker went on, ` +
          `and at most one batch of ${counted(spec.limits?.batchRows ?? 0)} rows read again`
      : '  the run was over before its worker could be killed',
  );
  return { syncId: sync.id, firstRunId: runId };
}

/** Early enough that most of the table is still to be copied. */
const batchesBeforeKill = 15;

/** Changes the source and waits for the scheduled run that finds the changes: whether it read exactly these. */
async function copyChanges(demo: Demo, { syncId, firstRunId }: CopiedSubscribers): Promise<boolean> {
  const { api, progress, rows, databases } = demo;
  const changed = Math.ceil(rows / 100);
  const added = Math.ceil(rows / 200);
  const step = progress.begin(
    `acme-warehouse: ${counted(changed)} subscribers change, ${counted(added)} are new`,
  );
  await changeSubscribers(databases.warehouse.adminUrl, { rows, changed, added });
  const run = await awaitRun(
    api,
    syncId,
    'a scheduled run that finds the changes',
    ({ id, receipt }) => id !== firstRunId && (receipt?.read ?? 0) > 0,
  );
  step.end(`the next run: ${describeRun(run)}`);
  progress.say(describeLink(run));
  const { read, updated, inserted } = run.receipt ?? { read: 0, updated: 0, inserted: 0 };
  return read === changed + added && updated === changed && inserted === added;
}

async function compareAll({ databases, progress }: Demo): Promise<boolean> {
  const compare = async (source: string, destination: string, parts: number): Promise<boolean> => {
    const step = progress.begin(
      `compare ${source} with ${destination}: the full text of each row, both ways`,
    );
    const found = await compareRows({
      source: { url: databases.warehouse.adminUrl, query: `select * from ${source}` },
      destination: { url: databases.app.adminUrl, query: `select * from ${destination}` },
      key: ['id'],
      parts,
    });
    step.end(describeDifferences(found));
    return isEqual(found);
  };
  const cities = await compare('city', 'acme_city', 1);
  const subscribers = await compare('subscriber', 'acme_subscriber', 2);
  return cities && subscribers;
}

/** The same, asked of the product: checksums that the two databases compute. */
async function verifyAll({ api, progress }: Demo, syncIds: readonly string[]): Promise<boolean> {
  const step = progress.begin('penstock verify: both syncs, by checksums');
  const reports = await Promise.all(syncIds.map((id) => api.syncs.verify(id, { maxSeconds: 240 })));
  const isEqual = reports.every(({ equal }) => equal);
  step.end(isEqual ? 'equal' : 'NOT EQUAL');
  return isEqual;
}

const describeDifferences = (found: Differences): string =>
  isEqual(found)
    ? `${counted(found.sourceRows)} rows, all equal`
    : `NOT EQUAL: ${found.missing} missing, ${found.extra} too many, ${found.duplicated} twice, ` +
      `${found.different} different; keys such as ${found.examples.join(' ')}`;

/** Where its history is, while the stack is up. */
const describeLink = ({ links, workflowId }: RunAnswer): string => `  ${links.temporal ?? workflowId}`;

/** One line: what a run did, and how fast. */
function describeRun({ status, receipt, error, attempts, startedAt, endedAt }: RunAnswer): string {
  if (!receipt || !startedAt || !endedAt) return `${status}: ${error?.code ?? ''} ${error?.message ?? ''}`;
  const seconds = Math.max((Date.parse(endedAt) - Date.parse(startedAt)) / 1000, 0.001);
  return (
    `${status}, ${counted(receipt.read)} rows read, ${counted(receipt.inserted)} inserted, ` +
    `${counted(receipt.updated)} updated, ${counted(Math.round(receipt.read / seconds))} rows/s, ${attempts} attempt(s)`
  );
}
