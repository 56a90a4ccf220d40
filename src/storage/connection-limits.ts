/** How much is read from a connection at once: set by its owner, and by sources that ask for less. */
import type { RunId } from '../domain/ids.ts';
import type { ConnectionLimits } from '../ports/schedule-index.ts';
import type { Tx } from './transaction.ts';

/** Columns of ConnectionLimits, of the connection `c`. */
export const connectionLimitColumns = `c.id as "connectionId", c.limits_version as version, c.max_runs as "maxRuns",
  coalesce(ceil(60000.0 / c.starts_per_minute), 0)::float8 as "startGapMs",
  coalesce(ceil(greatest(0, extract(epoch from c.cool_until - clock_timestamp()) * 1000)), 0)::float8 as "coolMs"`;

/** Limits as users set them. Absent members stay as they are. */
export interface LimitsChange {
  readonly maxRuns?: number | undefined;
  readonly startsPerMinute?: number | null | undefined;
  readonly rowsPerSecond?: number | null | undefined;
  readonly bytesPerSecond?: number | null | undefined;
  readonly coolUntil?: string | null | undefined;
}

/** Changes the limits of a connection that the caller holds; what admission must go by now. */
export async function updateLimits(
  tx: Tx,
  connectionId: string,
  { maxRuns, ...others }: LimitsChange,
): Promise<ConnectionLimits[]> {
  const { startsPerMinute, rowsPerSecond, bytesPerSecond, coolUntil } = others;
  const nullable = [startsPerMinute, rowsPerSecond, bytesPerSecond, coolUntil];
  if (maxRuns === undefined && nullable.every((limit) => limit === undefined)) return [];
  const { rows } = await tx.query<ConnectionLimits>(
    `update penstock.connection c
     set limits_version = limits_version + 1, max_runs = coalesce($2, max_runs),
       starts_per_minute = case when $3 then $4 else starts_per_minute end,
       rows_per_second = case when $5 then $6 else rows_per_second end,
       bytes_per_second = case when $7 then $8 else bytes_per_second end,
       cool_until = case when $9 then $10::timestamptz else cool_until end
     where id = $1 returning ${connectionLimitColumns}`,
    [connectionId, maxRuns ?? null, ...nullable.flatMap((limit) => [limit !== undefined, limit ?? null])],
  );
  return rows;
}

/** Lets no run of this one's source start for a while; a cool-down that ends later stays. */
export async function coolSource(tx: Tx, runId: RunId, coolMs: number): Promise<ConnectionLimits[]> {
  const { rows } = await tx.query<ConnectionLimits>(
    `update penstock.connection c
     set limits_version = limits_version + 1,
       cool_until = greatest(cool_until, clock_timestamp() + $2 * interval '1 millisecond')
     from penstock.run r
     where r.id = $1 and c.id = r.source_connection_id returning ${connectionLimitColumns}`,
    [runId, coolMs],
  );
  return rows;
}
