/** Connections to a destination, and transactions that end whoever blocks them (rule 3 of the commit protocol). */
import type { Client } from 'pg';
import type { ConnectionAccess } from '../../ports/connection.ts';
import { connect, disconnect } from '../../postgres-client/connect.ts';
import { rowsOf, runAll } from '../../postgres-client/query.ts';
import { setLocal } from '../../postgres-client/settings.ts';
import { classifyDestinationError } from './classify-error.ts';

/** Time-outs of a destination; `answerMs` is the client's own, for servers that have frozen. */
export interface DestinationTimeouts {
  statementMs: number;
  lockMs: number;
  idleMs: number;
  answerMs: number;
  /** How long a blocker of ours may go on before it is ended. */
  graceMs: number;
}

export const defaultTimeouts: DestinationTimeouts = {
  statementMs: 60_000,
  lockMs: 10_000,
  idleMs: 60_000,
  answerMs: 75_000,
  graceMs: 1_000,
};

export interface DestinationContext {
  readonly access: ConnectionAccess;
  readonly timeouts: DestinationTimeouts;
  /** A connection that has finished its work and serves the next piece. */
  idle: Client | null;
}

/** Works on a connection: the idle one, or a new one. Errors come out classified; a connection that saw one is not kept. */
export async function withDestination<T>(
  context: DestinationContext,
  doing: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  let client = context.idle;
  context.idle = null;
  try {
    client ??= await connectFor(context);
    const result = await work(client);
    await keep(context, client);
    return result;
  } catch (error) {
    if (client) await disconnect(client);
    throw classifyDestinationError(error, doing);
  }
}

async function keep(context: DestinationContext, client: Client): Promise<void> {
  if (context.idle) return disconnect(client);
  context.idle = client;
}

async function connectFor(context: DestinationContext): Promise<Client> {
  const client = await connect(context.access);
  client.on('error', () => {
    if (context.idle === client) context.idle = null;
  });
  return client;
}

/** Ends the idle connection. */
export async function closeIdle(context: DestinationContext): Promise<void> {
  const client = context.idle;
  context.idle = null;
  if (client) await disconnect(client);
}

export type Run = <Row>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/** Begins a transaction with the protocol's local settings. Always read committed: a later statement must see what committed meanwhile. */
export const beginStatement = ({ timeouts }: DestinationContext, more: Record<string, string> = {}): string =>
  `begin isolation level read committed; ${setLocal({
    statement_timeout: timeouts.statementMs,
    lock_timeout: timeouts.lockMs,
    idle_in_transaction_session_timeout: timeouts.idleMs,
    ...more,
  })}`;

/**
 * One transaction of the protocol's bookkeeping on a connection of its own. While a statement of it waits, batches of
 * ours that block it are ended.
 */
export function inTransaction<T>(
  context: DestinationContext,
  doing: string,
  work: (run: Run, client: Client) => Promise<T>,
): Promise<T> {
  return withDestination(context, doing, async (client) => {
    const { answerMs } = context.timeouts;
    const begin = `${beginStatement(context)}; set local search_path = pg_catalog; select pg_backend_pid() as pid`;
    const { pid } = (await runAll(client, begin, answerMs)).at(-1)!.rows[0] as { pid: number };
    const run: Run = (sql, values) => endingBlockers(context, pid, rowsOf(client, answerMs, sql, values));
    const result = await work(run, client);
    await runAll(client, 'commit', answerMs);
    return result;
  });
}

/** Settles as the work does. When it waits longer than the grace, ends the batches that block it, on another connection. */
async function endingBlockers<T>(context: DestinationContext, pid: number, work: Promise<T>): Promise<T> {
  const { graceMs } = context.timeouts;
  let ending: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    ending = endBlockers(context, pid).catch(() => {});
  }, graceMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    await ending;
  }
}

/**
 * Finds and ends in one statement: a process id that was looked up before may belong to somebody else by now. Only batch
 * transactions carry the name, and whoever waits for one has the right to replace it.
 */
const endBlockers = (context: DestinationContext, pid: number): Promise<unknown> =>
  withDestination(context, 'Ending a replaced writer', (client) =>
    rowsOf(
      client,
      context.timeouts.answerMs,
      `select pg_catalog.pg_terminate_backend(a.pid)
         from pg_catalog.pg_stat_activity a
        where a.pid = any (pg_catalog.pg_blocking_pids($1)) and a.application_name like 'penstock:%'`,
      [pid],
    ),
  );
