/** PostgreSQL as a source: each piece of work on a connection of its own, which is not used again. */
import type { ConnectionAccess } from '../../ports/connection.ts';
import type { RowMemory, Source, SourceRead } from '../../ports/source.ts';
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
export function openPostgresSource(access: ConnectionAccess, memory: RowMemory): Source {
  const reads = new Set<SourceRead>();
  return {
    probe: (request) =>
      withSource(access, 'Describing the query', (client) => probeQuery(client, access, request)),
    fetchHigh: (request) =>
      withSource(access, 'Taking the end of the window', (client) => fetchHigh(client, request)),
    splitKey: (request) =>
      withSource(access, 'Planning the partitions', (client) => splitKey(client, request)),
    read: async (request) => {
      const read = await startRead(access, memory, request);
      reads.add(read);
      return {
        next: () => read.next(),
        close: async () => {
          reads.delete(read);
          await read.close();
        },
      };
    },
    compare: (rows) => comparedRows(access, rows),
    fetchFingerprint: (query) =>
      withSource(access, 'Asking whether anything has changed', (client) =>
        fetchFingerprint(client, query),
      ).catch((error: unknown) => {
        throw aboutFingerprint(error);
      }),
    check: () =>
      withSource(access, connecting, (client) =>
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
