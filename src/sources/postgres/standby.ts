/**
 * What a hot standby knows of its primary. Transactions that are in progress there cannot be seen here, so nobody can wait
 * for their end: only how far the primary's history has been replayed is known.
 */
import type { Client } from 'pg';
import { rowOf } from '../../postgres-client/query.ts';
import { shortMs } from './source-session.ts';

/** A moment by the primary's clock up to which every commit is visible here; null when the server does not say. */
export interface Standby {
  replayedUntil: string | null;
}

/**
 * Null on a primary. When all that the primary had when it last spoke is replayed, that moment counts, if the login may
 * see it (pg_read_all_stats); otherwise the last commit that was replayed. A snapshot taken after the answer sees as much.
 */
export async function fetchStandby(client: Client): Promise<Standby | null> {
  const { isStandby, replayedUntil } = await rowOf<Standby & { isStandby: boolean }>(
    client,
    shortMs,
    `select pg_catalog.pg_is_in_recovery() as "isStandby",
       case when pg_catalog.pg_is_in_recovery() then coalesce(
         (select last_msg_send_time from pg_catalog.pg_stat_wal_receiver
           where latest_end_lsn <= pg_catalog.pg_last_wal_replay_lsn()),
         pg_catalog.pg_last_xact_replay_timestamp()) end::text as "replayedUntil"`,
  );
  return isStandby ? { replayedUntil } : null;
}
