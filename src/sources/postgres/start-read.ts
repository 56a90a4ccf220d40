/** Starts one statement over a partition and watches over it until its end is proven. */
import type { Client } from 'pg';
import { changedColumns, schemaChanged } from '../../copy/changed-columns.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { PartitionBounds, ReadRequest, RowMemory, SourceRead } from '../../ports/source.ts';
import { destroy, disconnect } from '../../postgres-client/connect.ts';
import { ident } from '../../postgres-client/quote.ts';
import { rowOf, rowsOf, runAll, withDeadline } from '../../postgres-client/query.ts';
import { cancelStatement } from '../../postgres-client/cancel-statement.ts';
import { classifySourceError } from './classify-error.ts';
import { CopyReader } from './copy-reader.ts';
import { CursorReader, maxCursorBytes } from './cursor-reader.ts';
import { nameTypes } from './name-types.ts';
import { parseFilled } from './placeholders.ts';
import { asSubselect, readStatement } from './read-statement.ts';
import { beginReading, endWork, shortMs, takeSession, type SourceContext } from './source-session.ts';
import { watchRead } from './watch-read.ts';

const doing = 'Reading the source';

/**
 * Partitions are read beside each other as it is. With parallel workers to share it out the planner would sooner fetch a small
 * range in any order and sort it than read it by the index. Servers without the setting are left alone.
 */
const readAlone = `select pg_catalog.set_config(name, '0', true) from pg_catalog.pg_settings
   where name = 'max_parallel_workers_per_gather'`;

/** Connects, checks that the query still gives what the load was planned for, and starts reading. */
export async function startRead(
  context: SourceContext,
  memory: RowMemory,
  request: ReadRequest,
): Promise<SourceRead> {
  const options = request.reader === 'copy' ? undefined : { maxAnswerBytes: maxCursorBytes };
  const client = await takeSession(context, doing, options);
  try {
    const begin = isUnbounded(request.bounds) ? beginReading : `${beginReading}; ${readAlone}`;
    const begun = await runAll(client, `${begin}; select pg_catalog.pg_backend_pid() as pid`, shortMs);
    const { pid } = begun.at(-1)!.rows[0] as { pid: number };
    const { sql } = await parseFilled(request);
    await checkColumns(client, sql, request);
    if (request.after && !request.uniqueKey && isUnbounded(request.bounds))
      await refuseNullKeys(client, sql, request);
    return followStatement({ context, memory, client, pid, sql, request });
  } catch (error) {
    await disconnect(client);
    throw classifySourceError(error, doing);
  }
}

interface Statement {
  context: SourceContext;
  memory: RowMemory;
  client: Client;
  pid: number;
  /** The parsed query. */
  sql: string;
  request: ReadRequest;
}

function followStatement({ context, memory, client, pid, sql, request }: Statement): SourceRead {
  const statement = readStatement({ ...request, sql });
  const options = { memory, readsAhead: request.readsAhead, afterCheck: () => checkStillReadOnly(client) };
  const reader =
    request.reader === 'copy'
      ? new CopyReader(client, {
          ...options,
          format: request.format,
          sql: `copy (${statement}) to stdout (format ${request.format})`,
        })
      : new CursorReader(client, { ...options, sql: statement });
  const fail = (error: unknown): void => reader.queue.finish({ error });
  const onEnd = (): void => fail(new Error('the connection ended'));
  const onAbort = (): void => fail(request.signal.reason);
  client.on('error', fail);
  client.on('end', onEnd);
  request.signal.addEventListener('abort', onAbort, { once: true });
  if (request.reader === 'copy') client.query(reader as CopyReader);
  const stopWatching = watchRead({
    access: context.access,
    pid,
    reader,
    rowTimeoutMs: request.rowTimeoutMs,
    fail,
  });
  let isOver = false;
  let isClosed = false;
  return {
    next: async () => {
      try {
        const slice = await reader.queue.next();
        isOver = slice === null;
        return slice;
      } catch (error) {
        throw request.signal.aborted ? request.signal.reason : classifySourceError(error, doing);
      }
    },
    close: async () => {
      // Once: the session may be somebody else's by the second time.
      if (isClosed) return;
      isClosed = true;
      stopWatching();
      request.signal.removeEventListener('abort', onAbort);
      reader.close();
      client.off('error', fail).off('end', onEnd);
      if (isOver) return endWork(context, client);
      await cancelStatement(client);
      destroy(client);
      // A run that is paused or cancelled leaves nothing of ours at its source.
      await context.sessions.leave(context.access);
    },
  };
}

/**
 * The frozen columns must still be there, with the types that they had. Describing the query has locked its tables, so
 * that what is read is what was described.
 */
async function checkColumns(client: Client, sql: string, request: ReadRequest): Promise<void> {
  const query = {
    text: `select * from ${asSubselect(sql)} limit 0`,
    rowMode: 'array' as const,
    queryMode: 'extended',
  };
  const { fields } = await withDeadline(client, shortMs, client.query(query));
  const changes = changedColumns(request.columns, await nameTypes(client, fields));
  if (changes.length > 0)
    throw schemaChanged(
      'the result',
      changes,
      ' What the load has committed stays; the next run asks the query anew.',
    );
}

/** Rows with a NULL in their key are of this partition, where they would be refused. */
const isUnbounded = ({ after, upTo, nulls }: PartitionBounds): boolean =>
  after === undefined && upTo === undefined && nulls === undefined;

/**
 * "After this key" is false for a key with a NULL in it: such rows would be passed over in silence. The first attempt
 * meets them in the stream; a later one looks for them, in the snapshot that it reads.
 */
async function refuseNullKeys(client: Client, sql: string, request: ReadRequest): Promise<void> {
  const unbounded = readStatement({ ...request, sql, after: null, key: [] });
  const isNull = request.key.map((name) => `r.${ident(name)} is null`).join(' or ');
  const found = await rowsOf(client, shortMs * 10, `select from (${unbounded}) as r where ${isNull} limit 1`);
  if (found.length > 0)
    throw new PenstockError('KEY_NULL', `A key column (${request.key.join(', ')}) of the result is NULL.`);
}

/** A query that made its own transaction writable has called something it should not have. */
async function checkStillReadOnly(client: Client): Promise<void> {
  const sql = `select pg_catalog.current_setting('transaction_read_only') as value`;
  const { value } = await rowOf<{ value: string }>(client, shortMs, sql);
  if (value !== 'on')
    throw new PenstockError('QUERY_NOT_ALLOWED', 'The query changed the settings of its session.');
}
