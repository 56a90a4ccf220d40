/**
 * Sessions that wait a moment for the next work of the same tenant at the same connection: a login costs the server a process
 * with cold catalogs, and both sides the password's hash, which is most of a small run. pg-pool is not it: it has one
 * configuration and one address, knows no abort signal, and checks nothing that it gives out again.
 *
 * At one connection no more wait than were in use at once, since whoever takes one takes the newest that waits.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import type { ConnectionAccess } from '../ports/connection.ts';
import { connect, destroy, disconnect, isAtRest, setAside, takeUp, type ConnectOptions } from './connect.ts';
import { sqlstateOf } from './driver-errors.ts';
import { runAll } from './query.ts';

export interface Sessions {
  /** A session as after a login, whether it waited or is new; it ends when the signal of the access aborts. */
  take(access: ConnectionAccess, options?: ConnectOptions): Promise<Client>;
  /** After work that ended well: the session waits for the next, or ends. Never throws. */
  giveBack(client: Client): Promise<void>;
  /** Ends those that wait at the connection. Never throws. */
  leave(access: ConnectionAccess): Promise<void>;
}

/** Each piece of work has a session of its own. */
export const noKeptSessions: Sessions = { take: connect, giveBack: disconnect, leave: async () => {} };

const defaultBounds = {
  waitMs: 2_000,
  /** Older ones are not kept: settings of the role and the addresses of the host may be others by now. */
  maxAgeMs: 60_000,
  /** In all; who has waited longest goes first. */
  maxWaiting: 32,
  /** For its answer when it is taken; a new login takes no longer. */
  cleanMs: 1_000,
};
const tooManyConnections = '53300';

/**
 * What `discard all` does, but for prepared statements and plans, which nobody here names: behind a pooler they may be others'.
 * There the session began by the pooler's login, so what `reset all` goes back to is not the encoding of ours.
 * By it the session also shows that it is there.
 */
const clean = `set session authorization default; reset all; set client_encoding to 'UTF8'; close all; unlisten *;
  select pg_catalog.pg_advisory_unlock_all(); discard temp; discard sequences`;

/** Where a session belongs, and when it logged in. */
interface Origin {
  access: string;
  /** Where it leads, whoever goes there. */
  server: string;
  options: string;
  sinceMs: number;
}

/** Keeps sessions of accesses that have a tenant; for others it is as if there were none. */
export class KeptSessions implements Sessions {
  readonly #origins = new WeakMap<Client, Origin>();
  /** Those that wait, the newest last, with what ends them. */
  readonly #waiting = new Map<Client, NodeJS.Timeout>();
  readonly #bounds: typeof defaultBounds;
  #isClosed = false;

  constructor(bounds: Partial<typeof defaultBounds> = {}) {
    this.#bounds = { ...defaultBounds, ...bounds };
  }

  async take(access: ConnectionAccess, options: ConnectOptions = {}): Promise<Client> {
    if (access.tenantId === undefined) return connect(access, options);
    access.signal?.throwIfAborted();
    const origin = {
      access: keyOf(access),
      server: serverOf(access),
      options: JSON.stringify(options),
      sinceMs: performance.now(),
    };
    const client = (await this.#takeWaiting(origin, access)) ?? (await this.#login(access, options));
    if (this.#origins.has(client)) return client;
    this.#origins.set(client, origin);
    client.once('end', () => this.#stopWaiting(client));
    return client;
  }

  async giveBack(client: Client): Promise<void> {
    const origin = this.#origins.get(client);
    const { waitMs, maxAgeMs, maxWaiting } = this.#bounds;
    const isYoung = origin && performance.now() - origin.sinceMs < maxAgeMs;
    if (!isYoung || this.#isClosed || !isAtRest(client)) return disconnect(client);
    setAside(client);
    this.#waiting.set(client, setTimeout(() => void this.#end([client]), waitMs).unref());
    await this.#end([...this.#waiting.keys()].slice(0, -maxWaiting));
  }

  leave(access: ConnectionAccess): Promise<void> {
    return this.#end(this.#waitingWith('access', keyOf(access)));
  }

  /** None are kept from now on. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#end([...this.#waiting.keys()]);
  }

  async #takeWaiting(wanted: Origin, access: ConnectionAccess): Promise<Client | null> {
    const client = this.#waitingWith('access', wanted.access).findLast(
      (one) => this.#origins.get(one)!.options === wanted.options,
    );
    if (!client) return null;
    this.#stopWaiting(client);
    takeUp(client, access.signal);
    try {
      await runAll(client, clean, this.#bounds.cleanMs);
      return client;
    } catch {
      // It was ended, or is frozen, or its server is none that can do this: the others would be no better.
      destroy(client);
      await this.leave(access);
      return null;
    }
  }

  /**
   * A server that has no session to spare may have some that wait, here or for another process of ours. Those of other servers
   * are left alone: what one says is no reason to let go of others' sessions.
   */
  async #login(access: ConnectionAccess, options: ConnectOptions): Promise<Client> {
    try {
      return await connect(access, options);
    } catch (error) {
      if (sqlstateOf(error) !== tooManyConnections) throw error;
      await this.#end(this.#waitingWith('server', serverOf(access)));
      await delay(this.#bounds.waitMs * 1.25, undefined, { signal: access.signal }).catch(() => {});
      return connect(access, options);
    }
  }

  #waitingWith(member: 'access' | 'server', value: string): Client[] {
    return [...this.#waiting.keys()].filter((client) => this.#origins.get(client)![member] === value);
  }

  #stopWaiting(client: Client): void {
    clearTimeout(this.#waiting.get(client));
    this.#waiting.delete(client);
  }

  async #end(clients: readonly Client[]): Promise<void> {
    for (const client of clients) this.#stopWaiting(client);
    await Promise.all(clients.map(disconnect));
  }
}

/** Everything that makes a session what it is, and whose: after a change of any of it there is another. */
const keyOf = (access: ConnectionAccess): string =>
  JSON.stringify({ ...access, resolve: undefined, signal: undefined });

const serverOf = ({ host, port }: ConnectionAccess): string => `${host}:${port}`;
