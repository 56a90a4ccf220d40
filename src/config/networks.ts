/**
 * Which addresses a tenant's connection may reach. Loopback, private, link-local and other addresses that are not on
 * the public internet (IANA special-purpose registries) are refused unless an allowed network holds them: otherwise a
 * host name typed by a tenant would read the cloud's metadata service or the operator's own databases.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** A network in CIDR form. */
export interface Network {
  readonly address: string;
  readonly prefix: number;
}

/** Comma-separated CIDR networks or single addresses; empty is none. */
export function parseNetworks(text: string): readonly Network[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseNetwork);
}

function parseNetwork(text: string): Network {
  const [address = '', prefix, ...rest] = text.split('/');
  const most = isIPv6(address) ? 128 : 32;
  const bits = prefix === undefined ? most : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (isIP(address) === 0 || rest.length > 0 || !(bits <= most))
    throw new Error('must be networks such as 10.0.0.0/8 or fd00::/8, comma-separated');
  return { address, prefix: bits };
}

const blockListOf = (networks: readonly Network[]): BlockList => {
  const list = new BlockList();
  for (const { address, prefix } of networks)
    list.addSubnet(address, prefix, isIPv6(address) ? 'ipv6' : 'ipv4');
  return list;
};

const notPublic = blockListOf(
  parseNetworks(
    [
      '0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.0.0.0/24,192.0.2.0/24',
      '192.88.99.0/24,192.168.0.0/16,198.18.0.0/15,198.51.100.0/24,203.0.113.0/24,224.0.0.0/4,240.0.0.0/4',
    ].join(','),
  ),
);
/** Of IPv6 nothing but 2000::/3 is public, and not all of that. */
const notPublic6 = blockListOf(
  parseNetworks('::/3,4000::/2,8000::/1,2001::/23,2001:db8::/32,2002::/16,3fff::/20'),
);
/** IPv4 addresses, written in another way. */
const mapped = blockListOf(parseNetworks('::ffff:0:0/96'));

function isPublic(address: string, family: 'ipv4' | 'ipv6'): boolean {
  if (notPublic.check(address, family)) return false;
  return family === 'ipv4' || mapped.check(address, family) || !notPublic6.check(address, family);
}

/** Whether a connection may go to the IP address. `::ffff:10.0.0.1` is judged as 10.0.0.1, which Node's list does. */
export function isAddressAllowed(address: string, allowed: readonly Network[]): boolean {
  if (isIP(address) === 0) return false;
  const plain = address.replace(/%.*$/, '');
  const family = isIPv6(plain) ? 'ipv6' : 'ipv4';
  return isPublic(plain, family) || blockListOf(allowed).check(plain, family);
}
