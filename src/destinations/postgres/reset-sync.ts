/** What a user may do about what a sync has read: keep rows or cursor, or begin again; and what there is of both. */
import { findUngranted } from '../../domain/connection-grant.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { SyncId } from '../../domain/ids.ts';
import type { TargetScope } from '../../domain/target-scope-spec.ts';
import type { ConnectionAccess } from '../../ports/connection.ts';
import type { ResetPreview } from '../../ports/destination.ts';
import { isoOf } from '../../postgres-client/quote.ts';
import { asRole } from './as-role.ts';
import type { Sql } from './destination-session.ts';
import { sumReceipt } from './finish-load.ts';
import { abandonLoad } from './load.ts';
import { fetchOpenLoad, lockOpenLoad } from './load-row.ts';
import { modeOf } from './modes/modes.ts';
import { findRival } from './ownership.ts';
import { inScope } from './scoped.ts';

/** Gives up the sync's unfinished load; what it has committed stays, and the cursor stays where it was. */
export async function acceptLoad(sql: Sql, sync: SyncId): Promise<void> {
  const open = await lockOpenLoad(sql, sync);
  if (open) await abandonLoad(sql, open);
}

/** Takes no lock, and may be out of date when it is read. */
export async function describeReset(sql: Sql, sync: SyncId, access: Grantee): Promise<ResetPreview> {
  const open = await fetchOpenLoad(sql, sync);
  const [cursor] = await sql<{ movedAt: string }>(
    `select ${isoOf('moved_at')} as "movedAt"
       from _penstock.cursor where sync = $1 and value is not null`,
    [sync],
  );
  const tables: ResetPreview['tables'] = [];
  for (const table of await fetchTables(sql, sync, access)) {
    const { name } = table;
    const rival = await findRival(sql, { sync, ...table }, { ...table, shared: false });
    const count = `select count(*)::text as rows from ${name} as t where ${inScope('t', table)}`;
    const [found] = await asRole(sql, access.databaseRole, () => sql<{ rows: string }>(count));
    tables.push({ table: name, rows: Number(found!.rows), shared: rival !== null });
  }
  return {
    unfinished: open && {
      loadId: open.id,
      mode: open.plan.mode,
      staged: modeOf(open.plan).staged ?? false,
      committed: await sumReceipt(sql, open.id),
    },
    cursorMovedAt: cursor?.movedAt ?? null,
    tables,
  };
}

type Grantee = Pick<ConnectionAccess, 'databaseRole' | 'granted'>;

interface WrittenTable {
  relation: string;
  /** Quoted; `name` with the schema. */
  schema: string;
  name: string;
  /** Both as they are, with a dot between. */
  table: string;
  scope: TargetScope;
}

/** Those that the sync has claimed. What was granted once and is not now is nothing of its tenant's any more. */
async function fetchTables(sql: Sql, sync: SyncId, { granted }: Grantee): Promise<WrittenTable[]> {
  const claimed = await sql<WrittenTable>(
    `select t.relation::text, quote_ident(n.nspname) as schema, format('%I.%I', n.nspname, c.relname) as name,
            n.nspname || '.' || c.relname as table, t.scope
       from _penstock.target t
       join pg_class c on c.oid = t.relation
       join pg_namespace n on n.oid = c.relnamespace
      where t.sync = $1`,
    [sync],
  );
  return claimed.filter(
    ({ table, scope }) => !granted || !findUngranted(granted, { destination: { table }, scope }),
  );
}

/** TARGET_OWNED when rows are to be deleted that may be another sync's. */
export async function resetSync(
  sql: Sql,
  sync: SyncId,
  { deleteRows, access }: { deleteRows: boolean; access: Grantee },
): Promise<void> {
  await acceptLoad(sql, sync);
  await sql('delete from _penstock.cursor where sync = $1', [sync]);
  // The cursor's lock may have waited for a run that opened a load from it: that one could never be finished.
  await acceptLoad(sql, sync);
  await sql('delete from _penstock.reject where sync = $1', [sync]);
  if (!deleteRows) return;
  // Nobody claims the rows between the look and the delete.
  await sql('lock table _penstock.target in share mode');
  for (const table of await fetchTables(sql, sync, access)) {
    const { schema, name, scope } = table;
    const rival = await findRival(sql, { sync, ...table }, { scope, shared: false });
    if (rival !== null)
      throw new PenstockError('TARGET_OWNED', `The sync ${rival} writes the same rows of ${name} as well.`);
    const isWhole = Object.keys(scope).length === 0 && access.databaseRole === undefined;
    await sql(`set local search_path to ${schema}, pg_temp`);
    await asRole(sql, access.databaseRole, () =>
      sql(isWhole ? `truncate ${name}` : `delete from ${name} as t where ${inScope('t', { scope })}`),
    );
    await sql('set local search_path to pg_catalog');
  }
}
