/**
 * One connection to a source, for one piece of work: a read-only transaction of a session that is thrown away after it,
 * since a user's query may have changed what the session is.
 */
import type { Client } from 'pg';
import type { ConnectionAccess } from '../../ports/connection.ts';
import { connect, disconnect } from '../../postgres-client/connect.ts';
import { runAll } from '../../postgres-client/query.ts';
import { setLocal, textSettings } from '../../postgres-client/settings.ts';
import { classifySourceError } from './classify-error.ts';

/** How long the source may take over a catalog question or a description. */
export const shortMs = 60_000;

/** Starts the transaction. One snapshot; no time-out on statements, which would count the reader's time as well. */
export const beginReading = `begin isolation level repeatable read read only; ${setLocal({
  ...textSettings,
  statement_timeout: 0,
  lock_timeout: '10s',
  idle_in_transaction_session_timeout: '120s',
})}`;

/** What is said to have failed when there is no session yet. */
export const connecting = 'Connecting to the source';

/** Connects, works inside the transaction and ends the connection. Errors come out classified. */
export async function withSource<T>(
  access: ConnectionAccess,
  doing: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  let client: Client | undefined;
  try {
    client = await connect(access).catch((error: unknown) => {
      throw classifySourceError(error, connecting);
    });
    await runAll(client, beginReading, shortMs);
    return await work(client);
  } catch (error) {
    throw classifySourceError(error, doing);
  } finally {
    if (client) await disconnect(client);
  }
}
