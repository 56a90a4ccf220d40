/** Checks what a connection's host resolves to against the networks that the operator allows. */
import dns from 'node:dns/promises';
import { isIP } from 'node:net';
import { PenstockError } from '../domain/errors.ts';
import { isAddressAllowed, type Network } from './networks.ts';

type Lookup = (host: string) => Promise<readonly { address: string }[]>;

interface Guard {
  readonly resolve: (host: string) => Promise<readonly string[]>;
}

const lookupAll: Lookup = (host) => dns.lookup(host, { all: true });

/** A guard (src/ports/host-guard.ts). One address that is not allowed refuses the name: which one is used is luck. */
export function createHostGuard(allowed: readonly Network[], lookup: Lookup = lookupAll): Guard {
  return {
    resolve: async (host) => {
      const addresses = isIP(host) ? [host] : await lookupOrRefuse(host, lookup);
      // Not which address: a tenant could ask what the operator's own names resolve to.
      if (!addresses.every((address) => isAddressAllowed(address, allowed)))
        throw new PenstockError(
          'HOST_NOT_ALLOWED',
          `${host} is in a private or loopback network, which connections may not reach`,
          { pointer: '/host' },
        );
      return addresses;
    },
  };
}

async function lookupOrRefuse(host: string, lookup: Lookup): Promise<readonly string[]> {
  const refuse = (cause?: unknown): PenstockError =>
    new PenstockError('SOURCE_UNREACHABLE', `the host name ${host} does not resolve`, {
      pointer: '/host',
      cause,
    });
  const found = await lookup(host).catch((cause: unknown) => {
    throw refuse(cause);
  });
  if (found.length === 0) throw refuse();
  return found.map(({ address }) => address);
}
