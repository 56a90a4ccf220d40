/** Which adapter speaks to which kind of database. */
import { PenstockError } from '../domain/errors.ts';
import type { ConnectionAccess } from '../ports/connection.ts';
import type { OpenDestination } from '../ports/destination.ts';
import type { OpenSource } from '../ports/source.ts';

export interface Adapters {
  openSource: OpenSource;
  openDestination: OpenDestination;
}

/** Picks by the connection's kind. @throws PenstockError CONFIG for a kind that this process does not know */
export const createAdapters = (
  sources: Readonly<Record<string, OpenSource>>,
  destinations: Readonly<Record<string, OpenDestination>>,
): Adapters => ({
  openSource: (access) => pick(sources, access)(access),
  openDestination: (access) => pick(destinations, access)(access),
});

function pick<T>(known: Readonly<Record<string, T>>, { kind, connectionId }: ConnectionAccess): T {
  const found = Object.hasOwn(known, kind) ? known[kind] : undefined;
  if (found !== undefined) return found;
  throw new PenstockError(
    'CONFIG',
    `connection ${connectionId} is of kind "${kind}", which this worker lacks`,
  );
}
