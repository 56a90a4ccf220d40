/** Opens the load that a run works on, or finds the one it has to finish first. Repeatable. */
import type { LoadId, RunId, SyncId } from '../domain/ids.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { Destination, LoadPlan, OpenLoad } from '../ports/destination.ts';
import type { CursorWindow, Source } from '../ports/source.ts';
import { publishLimitsOf } from './finish-run.ts';
import { parseTableName, planLoad } from './plan-load.ts';
import { planPartitions } from './plan-partitions.ts';

export interface PrepareRequest {
  run: RunId;
  sync: SyncId;
  syncVersion: number;
  spec: SyncSpec;
  /** Of a backfill, which leaves the cursor alone; absent: from the cursor on. */
  window?: CursorWindow | undefined;
  /** The load that was done last as far as is known: where another one was since, none is opened (FENCED). */
  lastDone?: LoadId | null | undefined;
  signal: AbortSignal;
}

export interface PrepareDeps {
  source: Source;
  destination: Destination;
}

/**
 * Probes the query, makes the plan, continues an unfinished load with the same plan or opens a new one over the window
 * since the cursor. NOT_RESUMABLE, UNFINISHED_LOAD, CURSOR_*, TARGET_*, SOURCE_*, DESTINATION_*, RUN_FINAL.
 */
export async function prepareLoad(deps: PrepareDeps, request: PrepareRequest): Promise<OpenLoad> {
  const { source, destination } = deps;
  const { run, sync, spec } = request;
  const probing = source.probe(probeOf(spec));
  const table = parseTableName(spec.destination.table);
  const describing = destination.ensureSchema().then(() => destination.describeTarget(table));
  // When one fails the other is not left behind; what the source says goes first.
  await Promise.allSettled([probing, describing]);
  const [probe, target] = [await probing, await describing];
  const { syncVersion } = request;
  const plan = planLoad({ spec, syncVersion, isBackfill: request.window !== undefined, probe, target });
  const found = await destination.findLoad({ run, sync, plan });
  if (found) return found;
  request.signal.throwIfAborted();
  const window = request.window ?? (await takeWindow(deps, request, plan));
  const { keyMayBeNull } = probe;
  const partitions = await planPartitions(source, { ...request, plan, window, keyMayBeNull });
  const { onSchemaChange } = spec;
  const limits = publishLimitsOf(spec);
  const { lastDone } = request;
  return destination.openLoad({ run, sync, plan, window, partitions, limits, onSchemaChange, lastDone });
}

/** What a spec asks of its source. */
export const probeOf = ({ source, key, cursor, columns }: SyncSpec): Parameters<Source['probe']>[0] => ({
  query: source.query,
  key,
  cursor: cursor?.column ?? null,
  columns,
});

/** From the cursor to the safe high of the source; without a cursor there is one window, everything. */
async function takeWindow(
  { source, destination }: PrepareDeps,
  { sync, signal }: PrepareRequest,
  plan: LoadPlan,
): Promise<CursorWindow> {
  if (!plan.cursor) return { low: null, high: null };
  const { query, cursor, columns, runTime, mapping } = plan;
  const low = await destination.fetchCursor(sync, plan);
  return { low, high: await source.fetchHigh({ query, cursor, columns, low, runTime, mapping, signal }) };
}
