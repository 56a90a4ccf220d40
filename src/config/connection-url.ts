/**
 * `postgres://user:password@host:port/database` as discrete fields, for the commands that get databases by URL. Nothing
 * of it comes from PG* variables, and of the parameters only TLS ones are read: others read files or override the host.
 */
import { readFileSync } from 'node:fs';
import { connectionKinds } from '../domain/connection-kinds.ts';
import { parseUrlOf } from './parsers.ts';

const tlsModes = ['disable', 'require', 'verify-full'] as const;

export interface UrlConnection {
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  tls: { mode: (typeof tlsModes)[number]; ca?: string };
}

/** Throws an Error whose message completes the sentence "must be …" and quotes nothing of the URL but a parameter's name. */
export function parseConnectionUrl(text: string): UrlConnection {
  const url = new URL(parseUrlOf('postgres:', 'postgresql:')(text));
  const unknown = [...url.searchParams.keys()].find((name) => !['sslmode', 'sslrootcert'].includes(name));
  if (unknown !== undefined)
    throw new Error(`must have no parameter but sslmode and sslrootcert (it has ${unknown})`);
  const database = decodeURIComponent(url.pathname.slice(1));
  const user = decodeURIComponent(url.username);
  if (database === '' || user === '') throw new Error('must name a user and a database');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    host,
    port: url.port === '' ? connectionKinds.postgres.defaultPort : Number(url.port),
    database,
    user,
    password: decodeURIComponent(url.password),
    tls: tlsOf(url.searchParams, host),
  };
}

/** Without sslmode the certificate is checked, except on this machine, where nobody listens in. */
function tlsOf(parameters: URLSearchParams, host: string): UrlConnection['tls'] {
  const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
  const wanted = parameters.get('sslmode') ?? (isLocal ? 'disable' : 'verify-full');
  const mode = tlsModes.find((each) => each === wanted);
  if (!mode) throw new Error(`must have a sslmode of ${tlsModes.join(', ')}`);
  const file = parameters.get('sslrootcert');
  if (file === null) return { mode };
  try {
    return { mode, ca: readFileSync(file, 'utf8') };
  } catch (cause) {
    throw new Error('must name a sslrootcert that can be read', { cause });
  }
}
