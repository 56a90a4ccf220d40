/** A sync's cursor: how far its loads have read, while they read the same thing (invariant 5 of the commit protocol). */
import { cursorIsFor } from '../../domain/reset-ways.ts';
import { hashCursor } from '../../copy/plan-hash.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { SyncId } from '../../domain/ids.ts';
import type { CursorFate, LoadPlan } from '../../ports/destination.ts';
import type { Sql } from './destination-session.ts';
import type { LoadRow } from './load-row.ts';
import { modeOf } from './modes/modes.ts';
import { qualifiedName } from './target-name.ts';

interface CursorRow {
  hash: string | null;
  value: string | null;
}

/** Locks the sync's cursor (inserted if absent, with this hash), and leaves it as it is. */
export async function holdCursor(sql: Sql, sync: SyncId, hash: string): Promise<CursorRow> {
  // An update that changes nothing locks the row also when somebody deletes it meanwhile: then it inserts.
  const [cursor] = await sql<CursorRow>(
    `insert into _penstock.cursor (sync, cursor_hash) values ($1, $2)
      on conflict (sync) do update set sync = excluded.sync returning cursor_hash as hash, value`,
    [sync, hash],
  );
  return cursor!;
}

/** The same, made one of this hash; CURSOR_MOVED unless it is where the window begins. */
export async function lockCursor(sql: Sql, sync: SyncId, hash: string, low: string | null): Promise<void> {
  const { value, hash: of } = await holdCursor(sql, sync, hash);
  if ((of === hash || of === null ? value : null) !== low) throw cursorMoved();
  if (of !== hash)
    await sql('update _penstock.cursor set cursor_hash = $2, value = $3 where sync = $1', [sync, hash, low]);
}

export const cursorMoved = (): PenstockError =>
  new PenstockError('CURSOR_MOVED', 'Another run moved the cursor or opened a load meanwhile.');

/** The cursor's value for a plan. CURSOR_CHANGED when it belongs to another and an append would load rows twice. */
export async function fetchCursor(sql: Sql, sync: SyncId, plan: LoadPlan): Promise<string | null> {
  const { fate, value } = await judgeCursor(sql, sync, plan);
  if (fate === 'refused') {
    const text = `The ${cursorIsFor} is not the one that the cursor was kept for.`;
    throw new PenstockError('CURSOR_CHANGED', text);
  }
  if (fate === 'gone') await sql('update _penstock.cursor set value = null where sync = $1', [sync]);
  return fate === 'kept' ? value : null;
}

/** What becomes of the cursor with this plan, and its value as it is. */
export async function judgeCursor(
  sql: Sql,
  sync: SyncId,
  plan: LoadPlan,
): Promise<{ fate: CursorFate; value: string | null }> {
  const [cursor] = await sql<CursorRow>(
    'select cursor_hash as hash, value from _penstock.cursor where sync = $1',
    [sync],
  );
  if (!cursor || cursor.value === null) return { fate: 'first', value: null };
  const { hash, value } = cursor;
  if (hash === null) return { fate: 'kept', value };
  if (hash === hashCursor(plan))
    return { fate: (await isForAnotherTable(sql, sync, plan)) ? 'gone' : 'kept', value };
  return { fate: modeOf(plan).onlyAdds ? 'refused' : 'changed', value };
}

/**
 * Whether what the cursor vouches for is gone: the target was dropped, or (where reading again is harmless) dropped and
 * made anew. A mode that only adds, into a table that somebody put in its place goes on: its rows may have been brought along.
 */
async function isForAnotherTable(sql: Sql, sync: SyncId, plan: LoadPlan): Promise<boolean> {
  const [found] = await sql<{ exists: boolean; known: boolean }>(
    `select to_regclass($2) is not null as exists,
            exists (select from _penstock.target where sync = $1 and relation = to_regclass($2)) as known`,
    [sync, qualifiedName(plan.target)],
  );
  return modeOf(plan).onlyAdds ? !found!.exists : !found!.known;
}

/** The cursor's value is taken over by the next load, whatever its plan is. */
export const keepCursor = (sql: Sql, sync: SyncId): Promise<unknown> =>
  sql('update _penstock.cursor set cursor_hash = null where sync = $1', [sync]);

/** Invariant 5. */
export async function moveCursor(sql: Sql, load: LoadRow): Promise<void> {
  const [moved] = await sql(
    `update _penstock.cursor set value = $3, moved_at = now()
      where sync = $1 and cursor_hash = $2 and value is not distinct from $4 returning true as moved`,
    [load.sync, load.cursorHash, load.high, load.low],
  );
  if (!moved)
    throw new PenstockError('CURSOR_MOVED', `The cursor is not where the window of ${load.id} begins.`);
}
