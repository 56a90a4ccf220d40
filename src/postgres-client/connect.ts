/**
 * Connects to a tenant's or the operator's Postgres. Every field is given, none is taken from the environment: an
 * absent user, password or option would fall back to the PG* variables of this process and be sent to that host.
 */
import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Client, type ClientConfig, type Connection } from 'pg';
import type { ConnectionAccess } from '../ports/connection.ts';
import { AnswerGuard } from './answer-guard.ts';
import { createGulpingSocket } from './gulping-socket.ts';

/** A client that tells the server exactly what is written here, whatever the environment says, and is on its guard. */
class PlainClient extends Client {
  readonly answers: AnswerGuard;
  /** An error has come, or its end. */
  isLost = false;
  unfollow = (): void => {};

  constructor(config: ClientConfig, answers: AnswerGuard) {
    super(config);
    this.answers = answers;
    // What happens to a connection reaches whoever waits on it; without a listener it would end the process.
    for (const event of ['error', 'end'] as const) this.on(event, () => (this.isLost = true));
    this.once('end', () => this.unfollow());
    const connection = protocolOf(this) as Connection & { attachListeners(stream: Duplex): void };
    const attach = connection.attachListeners.bind(connection);
    connection.attachListeners = (stream) => {
      attach(stream);
      guard(stream, answers);
    };
  }

  /** Called by pg when it logs in. */
  getStartupConf(): Record<string, string> {
    return {
      user: this.user!,
      database: this.database!,
      application_name: 'penstock',
      client_encoding: 'UTF8',
    };
  }
}

/** What goes wrong while the driver reads ends the connection, and not the process. */
function guard(stream: Duplex, answers: AnswerGuard): void {
  const [driver] = stream.listeners('data') as ((chunk: Buffer) => void)[];
  stream.removeAllListeners('data');
  stream.on('data', (chunk: Buffer) => {
    try {
      answers.pass(chunk, driver!);
    } catch (error) {
      stream.destroy(error as Error);
    }
  });
}

/** Whoever takes rows out of the driver's hands while they come says so. */
export const answerTaken = (client: Client): void => (client as PlainClient).answers.taken();

export interface ConnectOptions {
  /** Much will be read: with a socket that is made for it, where there is no TLS. */
  gulps?: boolean;
  /** How much may lie in the driver's hands at once. */
  maxAnswerBytes?: number;
  /** How long connecting to an address and logging in may take. ETIMEDOUT. */
  connectMs?: number;
}

/** Opens a connection. The error is the driver's; an empty user, password, host or database counts as SQLSTATE 28000. */
export async function connect(access: ConnectionAccess, options: ConnectOptions = {}): Promise<Client> {
  for (const field of ['host', 'database', 'user', 'password'] as const) {
    if (access[field] === '')
      throw Object.assign(new Error(`The connection has no ${field}.`), { code: '28000' });
  }
  const addresses = access.resolve ? await access.resolve(access.host) : [access.host];
  for (const address of addresses.slice(0, -1))
    try {
      return await connectTo(address, access, options);
    } catch (error) {
      if (!isOfTheAddress(error)) throw error;
    }
  return connectTo(addresses.at(-1) ?? access.host, access, options);
}

/** Another address of the same host may answer. */
const isOfTheAddress = (error: unknown): boolean =>
  /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EADDRNOTAVAIL)$/.test(
    String((error as { code?: unknown }).code),
  );

async function connectTo(
  address: string,
  access: ConnectionAccess,
  { gulps = false, maxAnswerBytes, connectMs = 10_000 }: ConnectOptions,
): Promise<Client> {
  access.signal?.throwIfAborted();
  const config: ClientConfig = {
    ...(gulps && access.tls.mode === 'disable' ? { stream: createGulpingSocket } : {}),
    host: address,
    port: access.port,
    database: access.database,
    user: access.user,
    password: access.password,
    ssl: tlsOf(access),
    sslnegotiation: 'postgres',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: connectMs,
  };
  const client = new PlainClient(config, new AnswerGuard(maxAnswerBytes));
  takeUp(client, access.signal);
  try {
    await client.connect();
  } catch (error) {
    destroy(client);
    // The driver's own time-out has no code.
    if ((error as Error).message === 'timeout expired') Object.assign(error as Error, { code: 'ETIMEDOUT' });
    throw error;
  }
  return client;
}

/** The certificate is the host's, whatever address it was reached at. */
function tlsOf({ tls, host }: ConnectionAccess): ClientConfig['ssl'] {
  if (tls.mode === 'disable') return false;
  const ca = tls.ca === undefined ? {} : { ca: tls.ca };
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return { rejectUnauthorized: tls.mode === 'verify-full', host, ...servername, ...ca };
}

/** The driver's protocol connection: for COPY, which moves bytes past its parser. */
export const protocolOf = (client: Client): Connection =>
  (client as unknown as { connection: Connection }).connection;

/** Nobody works with the connection for now: no signal cuts it, and it does not hold the process up. */
export function setAside(client: Client): void {
  (client as PlainClient).unfollow();
  socketOf(client).unref();
}

/** Somebody works with it again, until the signal aborts. */
export function takeUp(client: Client, signal: AbortSignal | undefined): void {
  const plain = client as PlainClient;
  const onAbort = (): void => destroy(client, signal?.reason as Error);
  signal?.addEventListener('abort', onAbort, { once: true });
  plain.unfollow = () => signal?.removeEventListener('abort', onAbort);
  socketOf(client).ref();
}

const socketOf = (client: Client): Socket => protocolOf(client).stream as Socket;

/** Whether the connection is there and outside of any transaction. */
export const isAtRest = (client: Client): boolean =>
  !(client as PlainClient).isLost && client.getTransactionStatus() === 'I';

/** Cuts the connection without a word; queries that wait on it fail. */
export const destroy = (client: Client, reason?: Error): void => {
  protocolOf(client).stream.destroy(reason);
};

/** Says goodbye, for at most a moment. Never throws. */
export async function disconnect(client: Client): Promise<void> {
  const timer = setTimeout(() => destroy(client), 2_000);
  await client.end().catch(() => {});
  clearTimeout(timer);
}
