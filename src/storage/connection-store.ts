/**
 * Connections in the control database (src/ports/connection-store.ts). A change of settings makes a version, which
 * runs freeze; the password is sealed beside them and only the engine's role can read it.
 */
import { PenstockError } from '../domain/errors.ts';
import { newId } from '../domain/ids.ts';
import type { ConnectionSettings } from '../ports/connection.ts';
import type {
  Connection,
  ConnectionChange,
  ConnectionStore,
  NewConnection,
} from '../ports/connection-store.ts';
import type { ConnectionLimits } from '../ports/schedule-index.ts';
import type { Scope } from '../ports/scope.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import { deleteGrant, listGrants, upsertGrant } from './connection-grants.ts';
import { updateLimits } from './connection-limits.ts';
import { fetchConnection, listConnections, listUsers, lockConnection } from './connection-rows.ts';
import { passwordContext } from './connection-secret.ts';
import { checkVersion, refusingDoubles } from './database-errors.ts';
import { createTellIndex } from './index-news.ts';
import { inOperatorScope, inScope, insertAudit } from './in-scope.ts';
import type { StoreDeps } from './store-deps.ts';
import type { Tx } from './transaction.ts';

/** The connections over a pool. */
export function createConnectionStore({
  pool,
  secretBox,
  announcer,
  logger,
}: Omit<StoreDeps, 'starter'> & { secretBox: SecretBox }): ConnectionStore {
  const tellIndex = createTellIndex(announcer, logger);
  const unique = <T>(name: string | undefined, work: () => Promise<T>): Promise<T> =>
    refusingDoubles(
      'connection_name_is_unique',
      { message: `there is a connection ${name} already`, pointer: '/name' },
      work,
    );
  return {
    create: async (scope, wanted) => {
      const { connection, connections } = await unique(wanted.name, () =>
        inScope(pool, scope, (tx) => insertConnection(tx, scope, secretBox, wanted)),
      );
      await tellIndex({ limits: { connections } });
      return connection;
    },
    fetch: (scope, ref) => inScope(pool, scope, (tx) => fetchConnection(tx, scope, ref)),
    list: (scope, page) => inScope(pool, scope, (tx) => listConnections(tx, page)),
    update: async (scope, ref, change, ifVersion) => {
      const { connection, connections } = await unique(change.name, () =>
        inScope(pool, scope, (tx) => updateConnection({ tx, scope, secretBox, ref, ifVersion }, change)),
      );
      await tellIndex({ limits: { connections } });
      return connection;
    },
    delete: (scope, ref, ifVersion) =>
      inScope(pool, scope, (tx) => deleteConnection(tx, scope, ref, ifVersion)),
    grant: (scope, ref, grant) => inOperatorScope(pool, scope, (tx) => upsertGrant(tx, scope, ref, grant)),
    revokeGrant: (scope, ref, tenantId) =>
      inOperatorScope(pool, scope, (tx) => deleteGrant(tx, scope, ref, tenantId)),
    listGrants: (scope, ref) => inOperatorScope(pool, scope, (tx) => listGrants(tx, scope, ref)),
  };
}

/** A connection as it is now, and what admission must go by. */
interface Changed {
  connection: Connection;
  connections: readonly ConnectionLimits[];
}

/** All that a version of a connection keeps. */
const settingsOf = ({ host, port, database, user, tls }: ConnectionSettings): ConnectionSettings => ({
  host,
  port,
  database,
  user,
  tls,
});

async function insertConnection(
  tx: Tx,
  scope: Scope,
  secretBox: SecretBox,
  connection: NewConnection,
): Promise<Changed> {
  const id = newId('connection');
  const { tenantId } = scope;
  await tx.query(
    'insert into penstock.connection (id, tenant_id, name, kind, worker_class) values ($1, $2, $3, $4, $5)',
    [id, tenantId, connection.name, connection.kind, connection.workerClass ?? null],
  );
  await insertVersion(tx, { id, tenantId, version: 1, settings: settingsOf(connection) });
  await tx.query(
    'insert into penstock.connection_secret (connection_id, tenant_id, sealed) values ($1, $2, $3)',
    [id, tenantId, secretBox.seal(connection.password, passwordContext(tenantId, id))],
  );
  const connections = await updateLimits(tx, id, connection);
  await insertAudit(tx, scope, { tenantId, action: 'connection.create', objectId: id });
  return { connection: await fetchConnection(tx, scope, id), connections };
}

const insertVersion = (
  tx: Tx,
  row: { id: string; tenantId: string | null; version: number; settings: ConnectionSettings },
): Promise<unknown> =>
  tx.query(
    `insert into penstock.connection_version (connection_id, version, tenant_id, settings)
     values ($1, $2, $3, $4)`,
    [row.id, row.version, row.tenantId, JSON.stringify(row.settings)],
  );

interface UpdateContext {
  tx: Tx;
  scope: Scope;
  secretBox: SecretBox;
  ref: string;
  ifVersion: number | undefined;
}

async function updateConnection(
  { tx, scope, secretBox, ref, ifVersion }: UpdateContext,
  change: ConnectionChange,
): Promise<Changed> {
  const before = await lockConnection(tx, scope, ref);
  const { id, tenantId } = before;
  checkVersion(`connection ${before.name}`, before.version, ifVersion);
  const { password, maxRuns, startsPerMinute, rowsPerSecond, bytesPerSecond, coolUntil, ...rest } = change;
  const limits = { maxRuns, startsPerMinute, rowsPerSecond, bytesPerSecond, coolUntil };
  const after = { ...before, ...withoutUndefined(rest) };
  const moved = changedMembers(settingsOf(before), settingsOf(after));
  checkPasswordComesAlong(moved, password);
  const version = before.version + (moved.length > 0 ? 1 : 0);
  await tx.query(
    `update penstock.connection set name = $2, version = $3, worker_class = $4, updated_at = clock_timestamp()
     where id = $1`,
    [id, after.name, version, after.workerClass],
  );
  if (moved.length > 0) await insertVersion(tx, { id, tenantId, version, settings: settingsOf(after) });
  if (password !== undefined)
    await tx.query(
      `update penstock.connection_secret set sealed = $2, updated_at = clock_timestamp()
       where connection_id = $1`,
      [id, secretBox.seal(password, passwordContext(tenantId, id))],
    );
  const connections = await updateLimits(tx, id, limits);
  const changed = [
    ...(['name', 'workerClass'] as const).filter((member) => after[member] !== before[member]),
    ...moved,
    ...(password === undefined ? [] : ['password']),
    ...Object.keys(withoutUndefined(limits)),
  ];
  await insertAudit(tx, scope, { tenantId, action: 'connection.update', objectId: id, data: { changed } });
  return { connection: await fetchConnection(tx, scope, id), connections };
}

/** Members that were not sent are not there, rather than there and undefined. */
const withoutUndefined = <T extends object>(value: T): { [M in keyof T]: Exclude<T[M], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [M in keyof T]: Exclude<T[M], undefined>;
  };

const changedMembers = (before: ConnectionSettings, after: ConnectionSettings): string[] =>
  (Object.keys(after) as (keyof ConnectionSettings)[]).filter(
    (member) => JSON.stringify(before[member]) !== JSON.stringify(after[member]),
  );

/** Otherwise whoever may edit a connection could have its password sent to a host of his own. */
function checkPasswordComesAlong(moved: readonly string[], password: string | undefined): void {
  const member = moved.find((name) => name !== 'database');
  if (member === undefined || password !== undefined) return;
  throw new PenstockError(
    'BAD_REQUEST',
    `${member} changes where the password is sent: send the password again`,
    { pointer: '/password' },
  );
}

async function deleteConnection(
  tx: Tx,
  scope: Scope,
  ref: string,
  ifVersion: number | undefined,
): Promise<void> {
  const { id, tenantId, name, version } = await lockConnection(tx, scope, ref);
  checkVersion(`connection ${name}`, version, ifVersion);
  const users = await listUsers(tx, id, null);
  if (users.length > 0)
    throw new PenstockError(
      'CONFLICT',
      `connection ${name} is used by ${users.join(', ')}: delete them first`,
    );
  await tx.query('update penstock.connection set deleted_at = clock_timestamp() where id = $1', [id]);
  await tx.query(`update penstock.connection_secret set sealed = '' where connection_id = $1`, [id]);
  await insertAudit(tx, scope, { tenantId, action: 'connection.delete', objectId: id });
}
