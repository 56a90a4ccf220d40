/**
 * `redis://user:password@host:port/database`, in the ways in which Redis is run: `rediss` for TLS, `+sentinel` with the
 * Sentinels and the master's name, `+cluster` with some of its nodes. Every parameter is known: a misspelt one is refused.
 */
import { readFileSync } from 'node:fs';
import type { RedisAddress } from '../domain/redis-address.ts';

const shape =
  /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const tlsParameters = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey'] as const;
const sentinelParameters = ['sentinel_user', 'sentinel_password'] as const;
const tlsModes = ['verify-full', 'require'];

/** Throws an Error whose message completes the sentence "must …" and quotes nothing of the URL but a parameter's name. */
export function parseRedisUrl(text: string): RedisAddress {
  const match = shape.exec(text);
  if (!match)
    throw new Error(
      'must be a URL that starts with redis:// or rediss://, redis+sentinel:// or redis+cluster://',
    );
  const [, scheme, topology, userInfo = '', hosts = '', path = '', query] = match;
  const kind = topology === 'sentinel' || topology === 'cluster' ? topology : 'single';
  const isTls = scheme === 'rediss';
  const parameters = new URLSearchParams(query);
  refuseUnknown(parameters, [
    ...(isTls ? tlsParameters : []),
    ...(kind === 'sentinel' ? sentinelParameters : []),
  ]);
  const nodes = hosts.split(',').map((host) => nodeOf(host, kind === 'sentinel' ? 26_379 : 6_379));
  if (kind === 'single' && nodes.length > 1)
    throw new Error('must name one host; several are for redis+sentinel:// and redis+cluster://');
  const [username, password] = userInfo.split(/:(.*)/s, 2).map(decoded);
  return {
    kind,
    nodes,
    ...placeOf(kind, path),
    login: loginOf(username, password),
    sentinelLogin: loginOf(parameters.get('sentinel_user'), parameters.get('sentinel_password')),
    ...(isTls && { tls: tlsOf(parameters) }),
  };
}

function refuseUnknown(parameters: URLSearchParams, known: readonly string[]): void {
  const unknown = [...parameters.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(
      `must have no parameter but ${known.join(', ') || 'those of rediss://'} (it has ${unknown})`,
    );
}

function nodeOf(text: string, defaultPort: number): RedisAddress['nodes'][number] {
  if (!URL.canParse(`tcp://${text}`)) throw new Error('must name hosts as host:port, separated by commas');
  const { hostname, port } = new URL(`tcp://${text}`);
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? defaultPort : Number(port) };
}

/** What follows the hosts: a database, behind Sentinels the master's name before it. */
function placeOf(kind: RedisAddress['kind'], path: string): Pick<RedisAddress, 'master' | 'database'> {
  const parts = path.split('/').map(decoded);
  const master = kind === 'sentinel' ? parts.shift() : undefined;
  if (master === '')
    throw new Error(
      'must name the master that the Sentinels watch, as in redis+sentinel://host:26379/mymaster',
    );
  const [database = '', ...rest] = parts;
  if (!/^\d{0,5}$/.test(database) || rest.length > 0)
    throw new Error('must end with the number of a database');
  if (kind === 'cluster' && Number(database) !== 0)
    throw new Error('must name no database: a cluster has but one');
  return { database: Number(database), ...(master !== undefined && { master }) };
}

function loginOf(
  username: string | null | undefined,
  password: string | null | undefined,
): RedisAddress['login'] {
  return { ...(username && { username }), ...(password && { password }) };
}

/** The certificate is checked unless the URL says otherwise. */
function tlsOf(parameters: URLSearchParams): NonNullable<RedisAddress['tls']> {
  const mode = parameters.get('sslmode') ?? 'verify-full';
  if (!tlsModes.includes(mode)) throw new Error(`must have a sslmode of ${tlsModes.join(' or ')}`);
  const [ca, cert, key] = (['sslrootcert', 'sslcert', 'sslkey'] as const).map((name) => {
    const file = parameters.get(name);
    return file === null ? undefined : readText(name, file);
  });
  if ((cert === undefined) !== (key === undefined)) throw new Error('must have sslcert and sslkey together');
  return {
    rejectUnauthorized: mode === 'verify-full',
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
  };
}

function readText(parameter: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(`must name a ${parameter} that can be read`, { cause });
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new Error('must have every % of a name or password written as %25', { cause });
  }
}
