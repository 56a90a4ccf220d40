/**
 * Identifiers. Every id is text: a type prefix, an underscore and a UUID, the same in the database, in Redis,
 * in logs and in the API. UUIDv7 for things that are created, UUIDv5 for things that must come out the same
 * when they are written twice (runs, loads). Branded types are made only here, by parsing or by construction.
 */
import { v5 as uuidv5, v7 as uuidv7, validate as isUuid } from 'uuid';

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

export type TenantId = Id<'tenant'>;
export type ConnectionId = Id<'connection'>;
export type SyncId = Id<'sync'>;
export type RunId = Id<'run'>;
export type LoadId = Id<'load'>;
export type ApiKeyId = Id<'api key'>;
export type PauseId = Id<'pause'>;
export type BackfillId = Id<'backfill'>;

const prefixes = {
  tenant: 'ten',
  connection: 'con',
  sync: 'syn',
  run: 'run',
  load: 'lod',
  apiKey: 'key',
  pause: 'pau',
  backfill: 'bkf',
} as const;
export type IdKind = keyof typeof prefixes;

export interface IdTypes {
  tenant: TenantId;
  connection: ConnectionId;
  sync: SyncId;
  run: RunId;
  load: LoadId;
  apiKey: ApiKeyId;
  pause: PauseId;
  backfill: BackfillId;
}

/** A fresh, time-ordered id (UUIDv7, RFC 9562 §5.7). */
export function newId<K extends IdKind>(kind: K): IdTypes[K] {
  return `${prefixes[kind]}_${uuidv7()}` as IdTypes[K];
}

/** Whether the text is a well-formed id of that kind. */
export function isId<K extends IdKind>(kind: K, text: string): text is IdTypes[K] {
  const prefix = `${prefixes[kind]}_`;
  return text.startsWith(prefix) && isUuid(text.slice(prefix.length));
}

/** Namespace of all derived ids (a random UUIDv4, fixed for ever: changing it would double every run). */
const namespace = '6f1c0d5e-6f0a-4c3b-9d36-3d3c8e4b7a51';

/**
 * The id of a run: UUIDv5 of (sync, origin, nominal time or request key), RFC 9562 §5.5. Writing the same run
 * twice, from any process, is therefore harmless.
 * @param identity the nominal time as ISO 8601 in UTC for scheduled runs, the request key for triggered ones
 */
export function runIdOf(syncId: SyncId, origin: string, identity: string): RunId {
  return `${prefixes.run}_${uuidv5(`${syncId}|${origin}|${identity}`, namespace)}` as RunId;
}

/**
 * The sync that a one-shot copy stands for, which no control database knows: the table, or its scope's part of it, and a
 * name. Not the query, nor the source: an append whose query was changed must find what it had begun with the other one.
 *
 * @param table with its schema
 */
export function copySyncIdOf(
  table: string,
  name: string,
  scope: Readonly<Record<string, unknown>> = {},
): SyncId {
  const part = Object.entries(scope).sort(([a], [b]) => (a < b ? -1 : 1));
  const of =
    part.length === 0 ? '' : `|${JSON.stringify(part.map(([column, value]) => [column, String(value)]))}`;
  return `${prefixes.sync}_${uuidv5(`copy|${table}|${name}${of}`, namespace)}` as SyncId;
}

/** The id of the n-th load (from 0) that a run opens. */
export function loadIdOf(runId: RunId, n: number): LoadId {
  return `${prefixes.load}_${uuidv5(`${runId}|${n}`, namespace)}` as LoadId;
}

/**
 * The id of a run's workflow, fixed when the run is born because names may change later. Names come first for the Web
 * UI, whose list shows ids and nothing else; `/` would break Temporal's HTTP API.
 */
export const workflowIdOf = (tenantName: string, syncName: string, runId: RunId): string =>
  `${tenantName}:${syncName}:${runId}`;
