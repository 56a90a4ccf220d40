/** Connections to a destination, and transactions that end whoever blocks them (`takeLease` of the commit protocol). */
import type { Client } from 'pg';
import type { ConnectionAccess } from '../../ports/connection.ts';
import { connect, disconnect, isAtRest } from '../../postgres-client/connect.ts';
import type { Sessions } from '../../postgres-client/kept-sessions.ts';
import { rowsOf, runAll } from '../../postgres-client/query.ts';
import { setLocal, textSettings } from '../../postgres-client/settings.ts';
import { classifyDestinationError } from './classify-error.ts';

/** Time-outs of a destination; `answerMs` is the client's own, for servers that have frozen. */
export interface DestinationTimeouts {
  statementMs: number;
  lockMs: number;
  idleMs: number;
  /** The same of bookkeeping, whose statements follow each other at once: who is frozen in it holds rows that others need. */
  bookkeepingIdleMs: number;
  answerMs: number;
  /** How long a blocker of ours may go on before it is ended. */
  graceMs: number;
  /** For a statement that publishes a whole load at once. */
  publishMs: number;
  /** How long a swap of tables waits for its lock, with whoever wants to read behind it; and how long it tries again. */
  swapLockMs: number;
  swapWaitMs: number;
}

export const defaultTimeouts: DestinationTimeouts = {
  statementMs: 60_000,
  lockMs: 10_000,
  idleMs: 60_000,
  bookkeepingIdleMs: 5_000,
  answerMs: 75_000,
  graceMs: 1_000,
  publishMs: 5 * 3_600_000,
  swapLockMs: 200,
  swapWaitMs: 30_000,
};

export interface DestinationContext {
  readonly access: ConnectionAccess;
  readonly timeouts: DestinationTimeouts;
  readonly sessions: Sessions;
  /** A connection that has finished its work and serves the next piece. */
  idle: Client | null;
  /** Nobody comes for a connection any more: work that was still going on ends its own. */
  isClosed?: boolean;
}

/** What is said to have failed when there is no session yet. */
export const connecting = 'Connecting to the destination';

/** Works on a connection: the idle one, or a new one. Errors come out classified; a connection that saw one is not kept. */
export async function withDestination<T>(
  context: DestinationContext,
  doing: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  let client: Client | undefined;
  try {
    client = await takeConnection(context);
    const result = await work(client);
    await keep(context, client);
    return result;
  } catch (error) {
    if (client) await disconnect(client);
    throw classifyDestinationError(error, doing);
  }
}

async function keep(context: DestinationContext, client: Client): Promise<void> {
  if (context.idle || context.isClosed) return context.sessions.giveBack(client);
  context.idle = client;
}

/** The idle connection, or another; whoever takes it ends it or gives it back. */
export async function takeConnection(context: DestinationContext): Promise<Client> {
  const { idle } = context;
  context.idle = null;
  if (idle && isAtRest(idle)) return idle;
  return context.sessions.take(context.access).catch((error: unknown) => {
    throw classifyDestinationError(error, connecting);
  });
}

/** Gives the idle connection back; none is kept from now on. */
export async function closeIdle(context: DestinationContext): Promise<void> {
  const client = context.idle;
  context.idle = null;
  context.isClosed = true;
  if (client) await context.sessions.giveBack(client);
}

/** Runs a statement of the transaction; its rows. */
export type SqlRows = <Row>(statement: string, values?: readonly unknown[]) => Promise<Row[]>;

export interface Sql extends SqlRows {
  /** The rows that a statement has inserted, updated or deleted. */
  count(statement: string): Promise<number>;
}

/**
 * Begins a transaction with the protocol's local settings, in which rows are written and printed. Always read committed: a
 * later statement must see what committed meanwhile.
 */
export const beginStatement = (context: WithTimeouts, more: Record<string, string | number> = {}): string =>
  beginBookkeeping(context, { ...textSettings, ...more });

type WithTimeouts = Pick<DestinationContext, 'timeouts'>;

/** The same for one that has to do with no row's values. */
const beginBookkeeping = ({ timeouts }: WithTimeouts, more: Record<string, string | number>): string =>
  `begin isolation level read committed; ${setLocal({
    statement_timeout: timeouts.statementMs,
    lock_timeout: timeouts.lockMs,
    idle_in_transaction_session_timeout: timeouts.idleMs,
    ...more,
  })}`;

/**
 * One transaction of the protocol's bookkeeping on a connection of its own. While a statement of it waits, transactions of
 * ours that block it are ended.
 */
export function inTransaction<T>(
  context: DestinationContext,
  doing: string,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  return withDestination(context, doing, (client) => transact(context, { client, work }));
}

/**
 * A transaction that publishes a load. It has a name, as batches have, so that whoever replaces it can end it; its
 * statements take their time; and it ends only transactions of the same load, for it may wait for rows of the target.
 */
export function publishing<T>(
  context: DestinationContext,
  load: string,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  return withDestination(context, 'Finishing the load', (client) =>
    transact(context, { client, work, load }),
  );
}

interface Transaction<T> {
  client: Client;
  work: (sql: Sql) => Promise<T>;
  /** The load that it publishes. */
  load?: string;
}

async function transact<T>(context: DestinationContext, { client, work, load }: Transaction<T>): Promise<T> {
  const { timeouts } = context;
  const statementMs = load === undefined ? timeouts.statementMs : timeouts.publishMs;
  const answerMs = statementMs + timeouts.answerMs - timeouts.statementMs;
  const within = { timeouts: { ...timeouts, statementMs } };
  const begin = `${
    load === undefined
      ? beginBookkeeping(within, { idle_in_transaction_session_timeout: timeouts.bookkeepingIdleMs })
      : beginStatement(within, { application_name: `penstock:${load}:finish` })
  };
    set local search_path = pg_catalog;
    select pg_backend_pid() as pid, ${microsecondsOf('now()')} as since`;
  const me = (await runAll(client, begin, timeouts.answerMs)).at(-1)!.rows[0] as Omit<Waiter, 'prefix'>;
  const prefix = load === undefined ? 'penstock:' : `penstock:${load}:`;
  const blocked = <R>(work: Promise<R>): Promise<R> => endingBlockers(context, { ...me, prefix }, work);
  const sql: Sql = Object.assign(
    <Row>(statement: string, values?: readonly unknown[]) =>
      blocked(rowsOf<Row>(client, answerMs, statement, values)),
    {
      count: async (statement: string) =>
        (await blocked(runAll(client, statement, answerMs))).at(-1)!.rowCount ?? 0,
    },
  );
  const result = await work(sql);
  await runAll(client, 'commit', answerMs);
  return result;
}

interface Waiter {
  pid: number;
  /** When its transaction began. */
  since: string;
  /** Of the names of the transactions that it may end. */
  prefix: string;
}

const microsecondsOf = (time: string): string => `(extract(epoch from ${time}) * 1000000)::bigint`;

/**
 * Settles as the work does. When it waits longer than the grace, ends what blocks it of ours, on another connection. That is
 * not waited for: with a server that answers slowly the transaction would idle for longer than it may.
 */
async function endingBlockers<T>(context: DestinationContext, waiter: Waiter, work: Promise<T>): Promise<T> {
  let isEnding = false;
  const timer = setInterval(() => {
    if (isEnding) return;
    isEnding = true;
    endBlockers(context, waiter)
      .catch(() => {})
      .finally(() => (isEnding = false));
  }, context.timeouts.graceMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

/**
 * Finds and ends in one statement: a process id that was looked up before may belong to somebody else by now, and so may the
 * waiter's own, when this comes late. Only batches and publishers carry the name, and whoever waits for a row of theirs has
 * the right to replace them. Who waits for a table has not: others may write it as well.
 */
async function endBlockers(context: DestinationContext, { pid, since, prefix }: Waiter): Promise<void> {
  const client = await connect(context.access);
  try {
    await rowsOf(
      client,
      context.timeouts.answerMs,
      `select pg_catalog.pg_terminate_backend(a.pid)
         from pg_catalog.pg_stat_activity a, pg_catalog.pg_stat_activity w
        where w.pid = $1 and ${microsecondsOf('w.xact_start')} = $2 and w.wait_event in ('transactionid', 'tuple')
          and a.pid = any (pg_catalog.pg_blocking_pids($1)) and pg_catalog.starts_with(a.application_name, $3)`,
      [pid, since, prefix],
    );
  } finally {
    await disconnect(client);
  }
}
