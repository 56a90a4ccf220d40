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
      const addresses = isIP(host) ? [host] : (await lookup(host)).map(({ address }) => address);
      if (addresses.length === 0)
        throw Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' });
      // Not which address: a tenant could ask what the operator's own names resolve to.
      if (!addresses.every((address) => isAddressAllowed(address, allowed)))
        throw new PenstockError(
          'HOST_NOT_ALLOWED',
          `${host} is in a private or loopback network, which connections may not reach`,
        );
      return addresses;
    },
  };
}
