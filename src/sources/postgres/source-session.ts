/** A session at a source, for one piece of work: one read-only transaction, which is rolled back. */
import type { Client } from 'pg';
import type { ConnectionAccess } from '../../ports/connection.ts';
import { destroy, disconnect, type ConnectOptions } from '../../postgres-client/connect.ts';
import type { Sessions } from '../../postgres-client/kept-sessions.ts';
import { runAll } from '../../postgres-client/query.ts';
import { setLocal, textSettings } from '../../postgres-client/settings.ts';
import { classifySourceError } from './classify-error.ts';

/** How long the source may take over a catalog question or a description. */
export const shortMs = 60_000;
/** Where a rollback takes longer the session is cut, as one that says goodbye is. */
const rollbackMs = 2_000;

/** Starts the transaction. One snapshot; no time-out on statements, which would count the reader's time as well. */
export const beginReading = `begin isolation level repeatable read read only; ${setLocal({
  ...textSettings,
  statement_timeout: 0,
  lock_timeout: '10s',
  idle_in_transaction_session_timeout: '120s',
})}`;

/** What is said to have failed when there is no session yet. */
export const connecting = 'Connecting to the source';

/** Where and as whom, and whose sessions. */
export interface SourceContext {
  readonly access: ConnectionAccess;
  readonly sessions: Sessions;
}

/** Works inside the transaction. Errors come out classified; a session that saw one is not used again. */
export async function withSource<T>(
  context: SourceContext,
  doing: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  let client: Client | undefined;
  try {
    client = await takeSession(context, connecting);
    await runAll(client, beginReading, shortMs);
    const result = await work(client);
    await endWork(context, client);
    return result;
  } catch (error) {
    if (client) await disconnect(client);
    throw classifySourceError(error, doing);
  }
}

/** A session; by default one that is made for reading much, since the next work at it may be that. */
export const takeSession = (
  { access, sessions }: SourceContext,
  doing: string,
  options: ConnectOptions = { gulps: true },
): Promise<Client> =>
  sessions.take(access, options).catch((error: unknown) => {
    throw classifySourceError(error, doing);
  });

/** Ends the transaction of work that went well, and gives the session back. Never throws. */
export async function endWork({ sessions }: SourceContext, client: Client): Promise<void> {
  try {
    await runAll(client, 'rollback', rollbackMs);
  } catch {
    return destroy(client);
  }
  await sessions.giveBack(client);
}
