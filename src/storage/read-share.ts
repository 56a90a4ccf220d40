/**
 * Dividing a connection's read rate among the attempts that read from it (src/domain/read-rate.ts). Whoever asks holds the
 * connection's row, so that one divides after the other.
 */
import { shareLastsMs, shareOf, type HeldShares, type ReadRate } from '../domain/read-rate.ts';
import type { ConnectionId, RunId } from '../domain/ids.ts';
import type { RunPace } from '../ports/run-explainer.ts';
import type { AttemptKey } from '../ports/run-store.ts';
import type { Tx } from './transaction.ts';

/** An attempt `a` whose share has not lapsed. */
const holdsShare = `a.paced_by is not null and a.ended_at is null
  and a.heard_at > clock_timestamp() - interval '${shareLastsMs} ms'`;

/** The connection `c` may not be read at any rate. */
export const isPaced = '(c.rows_per_second is not null or c.bytes_per_second is not null)';

/** Its ReadRate. */
const limitOf = `json_build_object('rowsPerSecond', c.rows_per_second, 'bytesPerSecond', c.bytes_per_second)`;

interface PacedConnection extends ReadRate {
  id: string;
}

/** What the connection's reading is limited to; null: it may be read at any rate. */
export async function fetchReadLimit(
  tx: Tx,
  connectionId: ConnectionId,
): Promise<Pick<RunPace, 'connection' | 'limit'> | null> {
  const { rows } = await tx.query<Pick<RunPace, 'connection' | 'limit'>>(
    `select c.name as connection, ${limitOf} as limit from penstock.connection c where c.id = $1 and ${isPaced}`,
    [connectionId],
  );
  return rows[0] ?? null;
}

/** What the run's attempts may read; null while none of them is known to hold a share. */
export async function fetchPace(tx: Tx, runId: RunId): Promise<RunPace | null> {
  const { rows } = await tx.query<RunPace>(
    `select c.name as connection, count(*)::integer as attempts,
       ${limitOf} as limit,
       json_build_object('rowsPerSecond', sum(a.rows_share) filter (where a.run_id = $1),
         'bytesPerSecond', sum(a.bytes_share) filter (where a.run_id = $1)) as share
     from penstock.run r
     join penstock.connection c on c.id = r.source_connection_id
     join penstock.run_attempt a on a.paced_by = c.id
     where r.id = $1 and ${isPaced} and ${holdsShare}
     group by c.id having bool_or(a.run_id = $1)`,
    [runId],
  );
  return rows[0] ?? null;
}

/**
 * The attempt's share from now on; null when its source may be read at any rate. What it uses until it hears of that stays
 * its own as well, for it may never hear.
 */
export async function renewShare(
  tx: Tx,
  attempt: AttemptKey,
  inUse: ReadRate | null,
): Promise<ReadRate | null> {
  const limit = await lockPacedConnection(tx, attempt);
  const share = limit && shareOf(limit, await fetchHeld(tx, limit.id, attempt));
  if (share || inUse) await saveShare(tx, attempt, { connectionId: limit?.id ?? null, share, inUse });
  return share;
}

async function lockPacedConnection(tx: Tx, { runId }: AttemptKey): Promise<PacedConnection | null> {
  const { rows } = await tx.query<PacedConnection>(
    `select c.id, c.rows_per_second as "rowsPerSecond", c.bytes_per_second::float8 as "bytesPerSecond"
     from penstock.run r join penstock.connection c on c.id = r.source_connection_id
     where r.id = $1 and ${isPaced}
     for no key update of c`,
    [runId],
  );
  return rows[0] ?? null;
}

/** In a statement after the lock, so that it sees what was given before it. */
async function fetchHeld(tx: Tx, connectionId: string, attempt: AttemptKey): Promise<HeldShares> {
  const { rows } = await tx.query<HeldShares>(
    `select count(*)::integer as attempts, coalesce(sum(a.rows_share), 0) as "rowsPerSecond",
       coalesce(sum(a.bytes_share), 0) as "bytesPerSecond"
     from penstock.run_attempt a
     where a.paced_by = $1 and ${holdsShare} and (a.run_id, a.partition, a.epoch) <> ($2, $3, $4)`,
    [connectionId, attempt.runId, attempt.partition, attempt.epoch],
  );
  return rows[0]!;
}

interface Given {
  connectionId: string | null;
  share: ReadRate | null;
  inUse: ReadRate | null;
}

const saveShare = (tx: Tx, attempt: AttemptKey, { connectionId, share, inUse }: Given): Promise<unknown> =>
  tx.query(
    `update penstock.run_attempt
     set paced_by = $4, heard_at = clock_timestamp(), rows_share = greatest($5::float8, $6), bytes_share = greatest($7::float8, $8)
     where run_id = $1 and partition = $2 and epoch = $3 and ended_at is null`,
    [
      attempt.runId,
      attempt.partition,
      attempt.epoch,
      connectionId,
      share?.rowsPerSecond,
      share && inUse?.rowsPerSecond,
      share?.bytesPerSecond,
      share && inUse?.bytesPerSecond,
    ],
  );
