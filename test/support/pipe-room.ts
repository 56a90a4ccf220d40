/** Two fresh databases and the pipe between them, for tests without Temporal. */
import { Client } from 'pg';
import { copyPartition, type CopyRequest, type CopyResult } from '../../src/copy/copy-partition.ts';
import { publishLimitsOf } from '../../src/copy/finish-run.ts';
import { prepareLoad } from '../../src/copy/prepare-load.ts';
import { createRowMemory } from '../../src/copy/row-memory.ts';
import {
  defaultTimeouts,
  type DestinationTimeouts,
} from '../../src/destinations/postgres/destination-session.ts';
import { openPostgresDestination } from '../../src/destinations/postgres/postgres-destination.ts';
import { newId, type RunId, type SyncId } from '../../src/domain/ids.ts';
import type { Receipt } from '../../src/domain/run-states.ts';
import { syncSpecSchema, type SyncSpec, type SyncSpecInput } from '../../src/domain/sync-spec.ts';
import type { ConnectionAccess } from '../../src/ports/connection.ts';
import type { Destination, OpenLoad } from '../../src/ports/destination.ts';
import type { CursorWindow, ReadRequest, RowMemory, Source } from '../../src/ports/source.ts';
import { openPostgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { createDatabase } from './stack.ts';

export interface SyncInput {
  query: string;
  table?: string;
  mode?: SyncSpec['mode'];
  key: string[];
  cursor?: { column: string; lookback?: string; lag?: string };
  scope?: SyncSpecInput['scope'];
  keepPrevious?: boolean;
  softDelete?: string;
  deletedWhen?: string;
  limits?: SyncSpecInput['limits'];
  columns?: SyncSpecInput['columns'];
  onSchemaChange?: SyncSpec['onSchemaChange'];
}

/** One sync, and the runs that a test makes of it. */
export interface TestSync {
  readonly id: SyncId;
  readonly spec: SyncSpec;
  readonly reader: ReadRequest['reader'];
}

export interface PipeRoom {
  /** Plain connections of the test itself, as superuser. */
  readonly from: Client;
  readonly to: Client;
  readonly sourceAccess: ConnectionAccess;
  readonly destinationAccess: ConnectionAccess;
  readonly memory: RowMemory;
  readonly source: Source;
  readonly destination: Destination;
  sync(input: SyncInput, reader?: ReadRequest['reader']): TestSync;
  prepare(sync: TestSync, run: RunId, ends?: Ends): Promise<OpenLoad>;
  /** One attempt at a partition, the first unless one is given. Epochs rise by themselves unless one is given. */
  attempt(run: RunId, load: OpenLoad, options?: AttemptOptions): Promise<CopyResult>;
  /** A whole run without faults: prepare, copy, finish, as often as needed. */
  run(sync: TestSync, options?: AttemptOptions): Promise<Receipt>;
  /** A destination like the room's with other time-outs or another address. */
  openDestination(options?: {
    access?: Partial<ConnectionAccess>;
    timeouts?: Partial<DestinationTimeouts>;
  }): Destination;
  close(): Promise<void>;
}

/** Other ends than the room's own, and what a backfill reads. */
export interface Ends {
  window?: CursorWindow;
  source?: Source;
  destination?: Destination;
}

export type AttemptOptions = Ends & Partial<Omit<CopyRequest, 'run' | 'load'>>;

export const accessOf = (url: string): ConnectionAccess => {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    connectionId: 'con_test',
    kind: 'postgres',
    host: hostname,
    port: Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
    tls: { mode: 'disable' },
  };
};

/** The source as it is, or as if its server had no COPY. */
export const readBy = (reader: ReadRequest['reader'], source: Source): Source => ({
  ...source,
  probe: async (request) => ({
    ...(await source.probe(request)),
    ...(reader === 'cursor' && { reader, formats: ['text'] }),
  }),
});

export const urlOf = ({ user, password, host, port, database }: ConnectionAccess): string =>
  `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;

let lastEpoch = 0;
export const nextEpoch = (): string => String(++lastEpoch);

const never = new AbortController().signal;

export async function createPipeRoom(): Promise<PipeRoom> {
  const [sourceDatabase, destinationDatabase] = [await createDatabase(), await createDatabase()];
  const [from, to] = [sourceDatabase, destinationDatabase].map(
    ({ url }) => new Client({ connectionString: url }),
  ) as [Client, Client];
  await Promise.all([from.connect(), to.connect()]);
  const sourceAccess = accessOf(sourceDatabase.url);
  const destinationAccess = accessOf(destinationDatabase.url);
  const memory = createRowMemory();
  const source = openPostgresSource(sourceAccess, memory);
  const destination = openPostgresDestination(destinationAccess);

  const room: PipeRoom = {
    from,
    to,
    sourceAccess,
    destinationAccess,
    memory,
    source,
    destination,
    sync: (input, reader = 'copy') => ({
      id: newId('sync'),
      reader,
      spec: syncSpecSchema.parse({
        name: 'test',
        source: { connection: 'source', query: input.query },
        destination: { connection: 'destination', table: input.table ?? 'target' },
        mode: input.mode ?? 'append',
        key: input.key,
        cursor: input.cursor,
        scope: input.scope,
        keepPrevious: input.keepPrevious,
        softDelete: input.softDelete,
        deletedWhen: input.deletedWhen,
        limits: input.limits,
        columns: input.columns,
        onSchemaChange: input.onSchemaChange,
      }),
    }),
    prepare: ({ id, spec, reader }, run, { window, ...ends } = {}) =>
      prepareLoad(
        { destination, ...ends, source: readBy(reader, ends.source ?? source) },
        { run, sync: id, syncVersion: 1, spec, window, signal: never },
      ),
    attempt: (run, load, { source: from, destination: to, ...options } = {}) =>
      copyPartition(
        { source: from ?? source, destination: to ?? destination },
        {
          run,
          load: load.loadId,
          partition: 1,
          epoch: nextEpoch(),
          limits: { rows: 50_000, bytes: 16 * 1024 * 1024, timeMs: 60_000 },
          yieldAfterMs: 1_800_000,
          readAnewAfterMs: 1_800_000,
          rowTimeoutMs: 30_000,
          signal: never,
          drain: () => false,
          onProgress: () => {},
          ...options,
        },
      ),
    run: async (sync, ends = {}) => {
      const run = newId('run');
      for (let another = true; another;) {
        const load = await room.prepare(sync, run, ends);
        for (const partition of load.phase === 'done' ? [] : load.partitions)
          for (let outcome = 'yielded'; outcome !== 'finished';)
            ({ outcome } = await room.attempt(run, load, { ...ends, partition }));
        const limits = publishLimitsOf(sync.spec);
        ({ another } = await (ends.destination ?? destination).finish({ run, load: load.loadId, limits }));
      }
      const outcome = await (ends.destination ?? destination).closeRun(run);
      if (!outcome.succeeded) throw new Error(`the run ${run} has not succeeded`);
      return outcome.receipt;
    },
    openDestination: ({ access = {}, timeouts = {} } = {}) =>
      openPostgresDestination(
        { ...destinationAccess, ...access },
        { timeouts: { ...defaultTimeouts, ...timeouts } },
      ),
    close: async () => {
      await Promise.all([source.close(), destination.close()]);
      await Promise.all([from.end(), to.end()]);
      await Promise.all([sourceDatabase.drop(), destinationDatabase.drop()]);
    },
  };
  return room;
}

/** Every row of a query as one text, sorted byte by byte: what two ends must have in common. */
export async function rowsAsText(client: Client, query: string): Promise<string[]> {
  const settings = `set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set timezone = 'UTC'; set extra_float_digits = 3; set lc_monetary = 'C'`;
  await client.query(settings);
  const { rows } = await client.query<{ row: string }>(
    `select q::text as row from (${query}) as q order by q::text collate "C"`,
  );
  return rows.map(({ row }) => row);
}
