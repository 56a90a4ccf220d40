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

/** What could not be done to it. */
type Done = 'swapped' | 'written' | 'altered';

/** TARGET_LOCKED; who held it may have let go by now. */
export function targetLocked(
  { schema, table }: TableName,
  done: Done,
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

/** Work that takes a lock on the target, after the savepoint `unlocked`; TARGET_LOCKED when its lock time-out is over. */
export async function orTargetLocked(
  sql: SqlRows,
  target: TableName,
  done: Done,
  work: () => Promise<unknown>,
): Promise<void> {
  await sql('savepoint unlocked');
  try {
    await work();
  } catch (error) {
    if ((error as { code?: unknown }).code !== '55P03') throw error;
    await sql('rollback to savepoint unlocked');
    throw targetLocked(target, done, await findHolder(sql, target, { isWriting: false }));
  }
}
