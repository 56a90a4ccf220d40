/**
 * Every option of a role, as data: the environment variables, the command-line flags, the help and the docs page are
 * generated from this table. An option without a default is either needed by some role or means "none".
 */
import { parseConnectionUrl } from './connection-url.ts';
import {
  oneOf,
  parseAddress,
  parseDurationIn,
  parseHttpUrl,
  parseInteger,
  parseName,
  parsePemFile,
  parseUrlOf,
  parseWorkerClass,
} from './parsers.ts';
import { parseMasterKeys } from './master-keys.ts';
import { parseNetworks } from './networks.ts';
import { parseRedisUrl } from './redis-url.ts';

export interface Option<T> {
  /** One sentence for help and docs. */
  readonly doc: string;
  /** What a value looks like, for help. */
  readonly example: string;
  readonly default?: string;
  /** Never shown, and no flag: a process list shows flags. */
  readonly secret?: boolean;
  /** Throws an Error that says what a good value is, without quoting a secret one. */
  readonly parse: (text: string) => T;
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

export const optionTable = {
  databaseUrl: {
    doc: 'Control database: tenants, syncs and runs. The login may take its three roles; for migrate it owns the schema.',
    example: 'postgres://penstock:…@db.internal:5432/penstock',
    secret: true,
    parse: parseUrlOf('postgres:', 'postgresql:'),
  },
  redisUrl: {
    doc: 'Redis 6.2 or later, with maxmemory-policy noeviction: the schedule index, rebuilt when lost. Also rediss://, redis+sentinel://, redis+cluster://.',
    example: 'redis://redis.internal:6379/0',
    secret: true,
    parse: parseRedisUrl,
  },
  temporalAddress: {
    doc: 'Temporal frontend.',
    example: 'temporal.internal:7233',
    default: '127.0.0.1:7233',
    parse: parseAddress,
  },
  temporalNamespace: {
    doc: 'Temporal namespace of the workflows.',
    example: 'penstock',
    default: 'default',
    parse: parseName,
  },
  temporalTaskQueue: {
    doc: 'Prefix of the task queues that workers poll.',
    example: 'penstock',
    default: 'penstock',
    parse: parseName,
  },
  temporalTls: {
    doc: 'TLS towards the frontend: on, off, or auto: on when an API key or a certificate is given.',
    example: 'on',
    default: 'auto',
    parse: oneOf(['auto', 'on', 'off']),
  },
  temporalTlsCa: {
    doc: 'PEM file of the authority that signed the frontend’s certificate. Default: those that the system trusts.',
    example: '/etc/penstock/temporal-ca.pem',
    parse: parsePemFile,
  },
  temporalTlsCert: {
    doc: 'PEM file of the client certificate, for mTLS.',
    example: '/etc/penstock/temporal-client.pem',
    parse: parsePemFile,
  },
  temporalTlsKey: {
    doc: 'PEM file of the client certificate’s key.',
    example: '/etc/penstock/temporal-client.key',
    parse: parsePemFile,
  },
  temporalApiKey: {
    doc: 'API key for the frontend, as Temporal Cloud gives it.',
    example: 'eyJ…',
    secret: true,
    parse: parseName,
  },
  temporalPayloadKey: {
    doc: 'Keys that encrypt payloads in Temporal, comma-separated: the first encrypts, all decrypt. Default: payloads are readable.',
    example: '2026a:<base64 of 32 bytes>',
    secret: true,
    parse: parseMasterKeys,
  },
  masterKey: {
    doc: 'Keys that seal credentials, comma-separated: the first seals, all open. Make one: openssl rand -base64 32.',
    example: '2026a:<base64 of 32 bytes>',
    secret: true,
    parse: parseMasterKeys,
  },
  apiHost: {
    doc: 'Address that the API listens on.',
    example: '0.0.0.0',
    default: '127.0.0.1',
    parse: parseName,
  },
  apiPort: {
    doc: 'Port that the API listens on; 0 takes a free one.',
    example: '7070',
    default: '7070',
    parse: parseInteger(0, 65_535),
  },
  publicUrl: {
    doc: 'Where users reach the API, for links. Default: links are paths, and runs in Temporal have none.',
    example: 'https://penstock.example.com',
    parse: parseHttpUrl,
  },
  temporalUiUrl: {
    doc: 'Where users reach the Temporal Web UI, for links from runs, and so that its pages may have payloads decrypted. Default: neither.',
    example: 'https://temporal.example.com',
    parse: parseHttpUrl,
  },
  workerSlots: {
    doc: 'Partitions that a worker copies at once; also the cap of runs at work.',
    example: '8',
    default: '8',
    parse: parseInteger(1, 1000),
  },
  workerClass: {
    doc: 'Class of connections whose runs the workers of this process take, and no others; one class a process. Default: the common workers, for connections without a class.',
    example: 'eu-private',
    parse: parseWorkerClass,
  },
  rowTimeout: {
    doc: 'How long a source may send nothing, once rows have begun to come, before the attempt fails and is tried again.',
    example: '5m',
    default: '5m',
    parse: parseDurationIn('1s', '1h'),
  },
  logLevel: {
    doc: `Least level that is logged: ${logLevels.join(', ')}.`,
    example: 'info',
    default: 'info',
    parse: oneOf(logLevels),
  },
  allowedNetworks: {
    doc: 'Loopback and private networks that connections may reach, as CIDR, comma-separated. Public ones always may.',
    example: '10.20.0.0/16,fd00::/8',
    default: '',
    parse: parseNetworks,
  },
  apiUrl: {
    doc: 'The API that the commands for syncs and runs talk to.',
    example: 'https://penstock.example.com',
    default: 'http://127.0.0.1:7070',
    parse: parseHttpUrl,
  },
  apiKey: {
    doc: 'API key that the commands for syncs and runs send.',
    example: 'pk_…',
    secret: true,
    parse: parseName,
  },
  copyFrom: {
    doc: 'Source of copy, unless --from names it. TLS verifies the host, except on loopback; ?sslmode=require or disable, ?sslrootcert=file.',
    example: 'postgres://reader:…@warehouse.example.com/shop',
    secret: true,
    parse: parseConnectionUrl,
  },
  copyTo: {
    doc: 'Destination of copy, unless --to names it.',
    example: 'postgres://writer:…@app-db.internal/app',
    secret: true,
    parse: parseConnectionUrl,
  },
} as const satisfies Record<string, Option<unknown>>;

export type OptionName = keyof typeof optionTable;
export type OptionValue<N extends OptionName> = ReturnType<(typeof optionTable)[N]['parse']>;
export type OptionWithDefault = {
  [N in OptionName]: (typeof optionTable)[N] extends { default: string } ? N : never;
}[OptionName];

/** The table's entry, with the members that not every option has. */
export const optionOf = (name: OptionName): Option<unknown> => optionTable[name];

const words = (name: string): string[] => name.split(/(?=[A-Z])/).map((word) => word.toLowerCase());

/** `databaseUrl` → `PENSTOCK_DATABASE_URL`. */
export const envNameOf = (name: OptionName): string => `PENSTOCK_${words(name).join('_').toUpperCase()}`;

/** `temporalAddress` → `--temporal-address`; undefined for secrets, which have no flag. */
export const flagOf = (name: OptionName): string | undefined =>
  optionOf(name).secret ? undefined : `--${words(name).join('-')}`;

/** What each role cannot start without. */
export const roleNeeds = {
  api: ['databaseUrl', 'redisUrl', 'masterKey'],
  dispatcher: ['databaseUrl', 'redisUrl', 'masterKey'],
  worker: ['databaseUrl', 'redisUrl', 'masterKey'],
} as const satisfies Record<string, readonly OptionName[]>;
export type Role = keyof typeof roleNeeds;
