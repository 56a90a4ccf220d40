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

const notPublic = [
  '0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.0.0.0/24,192.0.2.0/24',
  '192.88.99.0/24,192.168.0.0/16,198.18.0.0/15,198.51.100.0/24,203.0.113.0/24,224.0.0.0/4,240.0.0.0/4',
  '::/128,::1/128,64:ff9b::/96,64:ff9b:1::/48,100::/64,2001::/23,2001:db8::/32,2002::/16,fc00::/7,fe80::/10,ff00::/8',
].join(',');

const blockListOf = (networks: readonly Network[]): BlockList => {
  const list = new BlockList();
  for (const { address, prefix } of networks)
    list.addSubnet(address, prefix, isIPv6(address) ? 'ipv6' : 'ipv4');
  return list;
};

const refused = blockListOf(parseNetworks(notPublic));

/** Whether a connection may go to the IP address. `::ffff:10.0.0.1` is judged as 10.0.0.1, which Node's list does. */
export function isAddressAllowed(address: string, allowed: readonly Network[]): boolean {
  if (isIP(address) === 0) return false;
  const plain = address.replace(/%.*$/, '');
  const family = isIPv6(plain) ? 'ipv6' : 'ipv4';
  return !refused.check(plain, family) || blockListOf(allowed).check(plain, family);
}
