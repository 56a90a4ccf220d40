/** Which adapter speaks to which kind of database. */
import type { KindsServing } from '../domain/connection-kinds.ts';
import { PenstockError } from '../domain/errors.ts';
import type { ConnectionAccess } from '../ports/connection.ts';
import type { OpenDestination } from '../ports/destination.ts';
import type { HostGuard } from '../ports/host-guard.ts';
import type { OpenSource } from '../ports/source.ts';

export interface Adapters {
  openSource: OpenSource;
  openDestination: OpenDestination;
}

interface KnownKinds {
  sources: Readonly<Record<KindsServing<'asSource'>, OpenSource>>;
  destinations: Readonly<Record<KindsServing<'asDestination'>, OpenDestination>>;
}

/**
 * Picks by the connection's kind; whatever is opened connects only where the guard lets it.
 * @throws PenstockError CONFIG for a kind that this process does not know
 */
export const createAdapters = (
  { sources, destinations }: KnownKinds,
  { resolve }: Pick<HostGuard, 'resolve'>,
): Adapters => ({
  openSource: (access) => pick(sources, access)({ ...access, resolve }),
  openDestination: (access) => pick(destinations, access)({ ...access, resolve }),
});

function pick<T>(known: Readonly<Record<string, T>>, { kind, connectionId }: ConnectionAccess): T {
  const found = Object.hasOwn(known, kind) ? known[kind] : undefined;
  if (found !== undefined) return found;
  throw new PenstockError(
    'CONFIG',
    `connection ${connectionId} is of kind "${kind}", which this worker lacks`,
  );
}
