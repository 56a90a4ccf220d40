/**
 * Notices a read that has stopped. Once rows have come, silence longer than the row time-out fails it. Before the first
 * row a statement may think for hours (a sort), so the server is asked on another connection whether it is still at it.
 */
import { PenstockError } from '../../domain/errors.ts';
import type { ConnectionAccess } from '../../ports/connection.ts';
import { connect, disconnect } from '../../postgres-client/connect.ts';
import { rowsOf } from '../../postgres-client/query.ts';

const lookMs = 1_000;
const probeEveryMs = 30_000;
const probeDeadlineMs = 10_000;
/** Probes that fail in a row before the source counts as gone. */
const maxFailedProbes = 3;

interface WatchedRead {
  access: ConnectionAccess;
  /** The server process that runs the statement. */
  pid: number;
  /** When bytes last came; null before the first row and while the pipe holds the reader up. */
  reader: { readonly lastDataMs: number | null };
  rowTimeoutMs: number;
  fail: (error: unknown) => void;
}

/** Starts watching; the returned function stops it. */
export function watchRead({ access, pid, reader, rowTimeoutMs, fail }: WatchedRead): () => void {
  let hasRows = false;
  const stall = setInterval(
    () => {
      const last = reader.lastDataMs;
      hasRows ||= last !== null;
      if (last === null || performance.now() - last < rowTimeoutMs) return;
      fail(new PenstockError('SOURCE_STALLED', `The source sent no row for ${rowTimeoutMs} ms.`));
    },
    Math.min(lookMs, rowTimeoutMs / 2),
  );
  let failedProbes = 0;
  const look = async (): Promise<void> => {
    try {
      const running = await isRunning(access, pid);
      failedProbes = 0;
      if (!running) fail(new PenstockError('SOURCE_INTERRUPTED', 'The source no longer runs the statement.'));
    } catch (error) {
      failedProbes++;
      if (failedProbes >= maxFailedProbes) fail(error);
    }
  };
  const liveness = setInterval(() => {
    if (!hasRows) void look();
  }, probeEveryMs);
  return () => {
    clearInterval(stall);
    clearInterval(liveness);
  };
}

async function isRunning(access: ConnectionAccess, pid: number): Promise<boolean> {
  const client = await connect(access);
  try {
    const sql = `select from pg_catalog.pg_stat_activity where pid = $1`;
    return (await rowsOf(client, probeDeadlineMs, sql, [pid])).length > 0;
  } finally {
    await disconnect(client);
  }
}
