/**
 * A worker of one run as a process of its own: what the workflow lets activities do, without Temporal. Several may work at
 * one run, each with greater epochs than the one before; one that is replaced ends, as nobody listens to it.
 *
 * Arguments: what `RunOrder` holds, as JSON. Prints the run's receipt.
 */
import { attemptLimits } from '../../../src/copy/attempt-limits.ts';
import { copyPartition, type CopyDeps } from '../../../src/copy/copy-partition.ts';
import { epochOf } from '../../../src/copy/epoch.ts';
import { finishRun, publishLimitsOf } from '../../../src/copy/finish-run.ts';
import { Patience } from '../../../src/copy/patience.ts';
import { prepareLoad } from '../../../src/copy/prepare-load.ts';
import { createRowMemory } from '../../../src/copy/row-memory.ts';
import { openPostgresDestination } from '../../../src/destinations/postgres/postgres-destination.ts';
import { describeError } from '../../../src/domain/describe-error.ts';
import { PenstockError } from '../../../src/domain/errors.ts';
import type { RunId, SyncId } from '../../../src/domain/ids.ts';
import type { Receipt } from '../../../src/domain/run-states.ts';
import type { SyncSpec } from '../../../src/domain/sync-spec.ts';
import type { ConnectionAccess } from '../../../src/ports/connection.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';

/** Whose work it is, and what. */
export interface RunOrder {
  readonly from: ConnectionAccess;
  readonly to: ConnectionAccess;
  readonly run: RunId;
  readonly sync: SyncId;
  /** Rises from one worker of the run to the next. */
  readonly call: number;
  readonly spec: SyncSpec;
}

const order = JSON.parse(process.argv[2]!) as RunOrder;
const { run, sync, spec } = order;
const deps: CopyDeps = {
  source: openPostgresSource(order.from, createRowMemory()),
  destination: openPostgresDestination(order.to),
};
const signal = new AbortController().signal;
const patience = new Patience(10 * 60_000, signal, () => {});

async function work(): Promise<Receipt> {
  for (;;) {
    const load = await patience.retrying(() =>
      prepareLoad(deps, { run, sync, syncVersion: 1, spec, signal }),
    );
    const isThere = load.phase === 'done' || (await copyPartitions(load));
    const finished = isThere
      ? await patience.retrying(() =>
          finishRun(deps.destination, { run, load: load.loadId, limits: publishLimitsOf(spec), signal }),
        )
      : ({ outcome: 'stale' } as const);
    if (finished.outcome === 'succeeded') return finished.receipt;
    if (finished.outcome === 'stale') await patience.wait(replaced);
  }
}

const replaced = new PenstockError('FENCED', 'Another attempt works on the load.');

/** False when the destination does not know the load any more. FENCED where another worker has taken a partition. */
async function copyPartitions({ loadId, partitions }: OpenLoad): Promise<boolean> {
  const waiting = [...partitions];
  const slot = async (): Promise<boolean> => {
    for (let partition = waiting.shift(); partition !== undefined; partition = waiting.shift())
      if (!(await copyOne(loadId, partition))) return false;
    return true;
  };
  const slots = await Promise.all(Array.from({ length: spec.limits.parallel }, slot));
  return slots.every(Boolean);
}

async function copyOne(load: OpenLoad['loadId'], partition: number): Promise<boolean> {
  for (;;) {
    const { outcome, error } = await patience.retrying(() =>
      copyPartition(deps, {
        run,
        load,
        partition,
        epoch: epochOf(order.call, Date.now()),
        ...attemptLimits(spec),
        signal,
        drain: () => false,
        onProgress: () => patience.progressed(),
      }),
    );
    if (outcome === 'finished') return true;
    if (outcome === 'lost') return false;
    if (outcome === 'fenced') throw replaced;
    if (error) await patience.wait(new PenstockError(error.code, error.message));
  }
}

try {
  process.stdout.write(JSON.stringify({ receipt: await work() }));
} catch (error) {
  const { code, message } = describeError(error);
  process.stderr.write(`${message} [${code}]\n`);
  process.exitCode = 1;
}
await Promise.all([deps.source.close(), deps.destination.close()]);
