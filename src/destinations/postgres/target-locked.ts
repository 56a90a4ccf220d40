/** Who keeps a target from being written or swapped: named, so that somebody can end that session. */
import { PenstockError } from '../../domain/errors.ts';
import type { TableName } from '../../ports/destination.ts';
import type { SqlRows } from './destination-session.ts';
import { qualifiedName } from './target-name.ts';

export interface Holder {
  /** Null: a prepared transaction. */
  pid: number | null;
  name: string | null;
  holds: string;
}

/** TARGET_LOCKED; who held it may have let go by now. */
export function targetLocked(
  { schema, table }: TableName,
  done: 'swapped' | 'written',
  { pid, name, holds }: Holder = { pid: null, name: null, holds: 'a lock on it that is gone by now' },
): PenstockError {
  const who = pid === null ? 'a prepared transaction' : `session ${pid} (application_name "${name ?? ''}")`;
  return new PenstockError(
    'TARGET_LOCKED',
    `The table ${schema}.${table} could not be ${done}: ${who} holds ${holds}.`,
    { meta: { pid, holds } },
  );
}

interface Asker {
  /** Readers hold nobody up who writes. */
  isWriting: boolean;
  /** Whose own sessions are not meant. */
  load?: string;
}

/** Somebody else who has locked the table or rows of it, the strongest lock first; undefined when there is nobody. */
export async function findHolder(
  sql: SqlRows,
  target: TableName,
  { isWriting, load }: Asker,
): Promise<Holder | undefined> {
  const [holder] = await sql<Holder>(
    `select l.pid, coalesce(nullif(a.application_name, ''), a.backend_type) as name, l.mode as holds
       from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'relation' and l.relation = pg_catalog.to_regclass($1) and l.granted
        and l.pid is distinct from pg_catalog.pg_backend_pid() and not ($2 and l.mode = 'AccessShareLock')
        and not coalesce(pg_catalog.starts_with(a.application_name, 'penstock:' || $3 || ':'), false)
        and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
      order by l.mode in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'), l.pid
      limit 1`,
    [qualifiedName(target), isWriting, load ?? null],
  );
  return holder;
}
