/**
 * What executing a run needs, read in one statement: its frozen spec, and both connections with their opened secrets. Rows
 * that are found by a key of their own are sub-selects: joins of them all take the planner three times as long.
 */
import { PenstockError } from '../domain/errors.ts';
import type { RunId } from '../domain/ids.ts';
import type { ConnectionAccess, ConnectionSettings } from '../ports/connection.ts';
import type { RunWork } from '../ports/run-store.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import { openPassword } from './connection-secret.ts';
import { isPaced } from './read-share.ts';
import type { Tx } from './transaction.ts';

/** One end of a run as its row has it. */
interface EndRow {
  id: string;
  name: string;
  kind: string;
  ownerId: string | null;
  settings: ConnectionSettings;
  /** Hexadecimal. */
  sealed: string | null;
  /** To the run's tenant. */
  grant: { databaseRole: string | null } | null;
  /** The frozen one, or the present one before the first prepare. */
  version: number;
  isPaced: boolean;
}

type WorkRow = Omit<RunWork, 'source' | 'destination'> & { source: EndRow; destination: EndRow };

export interface FoundWork {
  work: RunWork;
  /** Of its connections: those that it keeps to, or the present ones before its first prepare. */
  versions: { sourceVersion: number; destinationVersion: number };
  /** The source may not be read at any rate. */
  isPaced: boolean;
}

/**
 * The run's work, for the engine's role; `lock` holds its row, so that it stays as it was found. Throws NOT_FOUND when there
 * is no such run, FORBIDDEN when the operator's connection is no longer granted to its tenant, CONFIG when a secret does not
 * open.
 */
export async function fetchRunWork(
  tx: Tx,
  secretBox: SecretBox,
  runId: RunId,
  { lock }: { lock: boolean } = { lock: false },
): Promise<FoundWork> {
  const statement = `select r.id as "runId", r.tenant_id as "tenantId", r.sync_id as "syncId", r.sync_version as "syncVersion",
       (select name from penstock.tenant where id = r.tenant_id) as "tenantName",
       (select name from penstock.sync where id = r.sync_id) as "syncName", r.origin, r.status, v.spec,
       case when r.window_high is not null
         then json_build_object('low', r.window_low, 'high', r.window_high) end as window,
       ${endOf('source')} as source, ${endOf('destination')} as destination
     from penstock.run r
     join penstock.sync_version v on v.sync_id = r.sync_id and v.version = r.sync_version
     where r.id = $1 ${lock ? 'for no key update of r' : ''}`;
  const read = async (): Promise<WorkRow | undefined> =>
    (await tx.query<WorkRow>(statement, [runId])).rows[0];
  let row = await read();
  // One that waited for the run's row has its newest version, and of the connections only those from before it waited.
  if (row && !(row.source.settings && row.destination.settings)) row = await read();
  if (!row) throw new PenstockError('NOT_FOUND', `there is no run ${runId}`);
  const { source, destination } = row;
  return {
    work: {
      ...row,
      source: accessOf(row, source, secretBox),
      destination: accessOf(row, destination, secretBox),
    },
    versions: { sourceVersion: source.version, destinationVersion: destination.version },
    isPaced: source.isPaced,
  };
}

/** The EndRow of one end of a run. */
const endOf = (end: 'source' | 'destination'): string => {
  const version = `coalesce(r.${end}_version, c.version)`;
  return `(
    select json_build_object('id', c.id, 'name', c.name, 'kind', c.kind, 'ownerId', c.tenant_id,
      'version', ${version},
      'settings', (select settings from penstock.connection_version where connection_id = c.id and version = ${version}),
      'sealed', (select encode(sealed, 'hex') from penstock.connection_secret where connection_id = c.id),
      'grant', (select json_build_object('databaseRole', database_role) from penstock.connection_grant
        where connection_id = c.id and tenant_id = r.tenant_id),
      'isPaced', ${isPaced})
    from penstock.connection c where c.id = v.spec->'${end}'->>'connection')`;
};

function accessOf(run: WorkRow, end: EndRow, secretBox: SecretBox): ConnectionAccess {
  const { grant } = end;
  if (end.ownerId === null && !grant)
    throw new PenstockError(
      'FORBIDDEN',
      `connection ${end.name} is no longer granted to tenant ${run.tenantName}; grant it again or give sync ${run.syncName} another one`,
    );
  return {
    ...end.settings,
    connectionId: end.id,
    kind: end.kind,
    password: openPassword(secretBox, end),
    tenantId: run.tenantId,
    ...(grant?.databaseRole == null ? {} : { databaseRole: grant.databaseRole }),
  };
}
