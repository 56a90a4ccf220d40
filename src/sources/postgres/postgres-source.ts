/** PostgreSQL as a source: each piece of work has a session to itself. */
import type { ConnectionAccess } from '../../ports/connection.ts';
import type { RowMemory, Source, SourceRead } from '../../ports/source.ts';
import { noKeptSessions, type Sessions } from '../../postgres-client/kept-sessions.ts';
import { rowOf } from '../../postgres-client/query.ts';
import { comparedRows } from './compared-rows.ts';
import { aboutFingerprint, fetchFingerprint } from './fetch-fingerprint.ts';
import { fetchHigh } from './fetch-high.ts';
import { probeQuery } from './probe.ts';
import { connecting, shortMs, withSource } from './source-session.ts';
import { splitKey } from './split-key.ts';
import { startRead } from './start-read.ts';

/**
 * Opens the source; nothing is connected yet.
 *
 * @param memory for rows on their way; one for the whole process
 */
export function openPostgresSource(
  access: ConnectionAccess,
  memory: RowMemory,
  sessions: Sessions = noKeptSessions,
): Source {
  const context = { access, sessions };
  const reads = new Set<SourceRead>();
  return {
    probe: (request) =>
      withSource(context, 'Describing the query', (client) => probeQuery(client, access, request)),
    fetchHigh: (request) =>
      withSource(context, 'Taking the end of the window', (client) => fetchHigh(client, request)),
    splitKey: (request) =>
      withSource(context, 'Planning the partitions', (client) => splitKey(client, request)),
    read: async (request) => {
      const read = await startRead(context, memory, request);
      reads.add(read);
      return {
        next: () => read.next(),
        close: async () => {
          reads.delete(read);
          await read.close();
        },
      };
    },
    compare: (rows) => comparedRows(context, rows),
    fetchFingerprint: (query) =>
      withSource(context, 'Asking whether anything has changed', (client) =>
        fetchFingerprint(client, query),
      ).catch((error: unknown) => {
        throw aboutFingerprint(error);
      }),
    check: () =>
      withSource(context, connecting, (client) =>
        rowOf<{ version: string }>(
          client,
          shortMs,
          `select pg_catalog.current_setting('server_version') as version`,
        ),
      ),
    close: async () => {
      await Promise.all([...reads].map((read) => read.close()));
      reads.clear();
    },
  };
}
