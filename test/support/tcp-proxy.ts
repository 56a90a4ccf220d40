/**
 * A TCP proxy of ours between a client and a server, that can swallow what one side says, freeze, delay, slow down or cut. It
 * changes connections that are open and those to come; `mend` makes it a plain wire again for those to come.
 */
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

export type Direction = 'toServer' | 'toClient';

export interface TcpProxy {
  readonly port: number;
  /** Connections accepted so far. */
  readonly connections: number;
  /** From now on bytes in this direction disappear, and the connections stay open. */
  swallow(direction: Direction): void;
  /** From now on nothing is read from either side: a network that has stopped. */
  freeze(): void;
  /** Lets frozen connections go on. */
  thaw(): void;
  /** Ends every open connection: `reset` with an RST, else with a FIN. */
  cut(how?: 'reset' | 'end'): void;
  /** Every chunk in this direction waits so long. */
  delay(direction: Direction, ms: number): void;
  /** So many bytes a second get through in this direction; the sender is held up. */
  throttle(direction: Direction, bytesPerSecond: number): void;
  /** Chunks in this direction arrive in pieces of at most so many bytes, a turn of the event loop apart. */
  chop(direction: Direction, maxBytes: number): void;
  /**
   * Calls back with each chunk in this direction before it is passed on, and with the number of its connection, counted
   * from 1; the answer says what becomes of it: a promise holds it, and what comes behind it, until it settles. Several
   * chunks of one message may come in pieces.
   */
  intercept(direction: Direction, decide: Decide): void;
  /** Calls back with each chunk in this direction, whatever becomes of it, until the answer is called; `mend` leaves it. */
  hear(direction: Direction, listener: Hear): () => void;
  /** False for a connection that has ended. */
  isOpen(connection: number): boolean;
  /** A plain wire again. */
  mend(): void;
  /** Connections to come lead there. */
  lead(target: Target): void;
  close(): Promise<void>;
}

type Decide = (chunk: Buffer, connection: number) => 'pass' | 'drop' | 'cut' | Promise<unknown>;

type Hear = (chunk: Buffer, connection: number) => void;

interface Target {
  host: string;
  port: number;
}

interface Wire {
  number: number;
  client: Socket;
  server: Socket;
  /** What is on its way, in order. */
  toServer: Promise<void>;
  toClient: Promise<void>;
}

interface Faults {
  swallowed: Set<Direction>;
  delayMs: Record<Direction, number>;
  pieceBytes: Record<Direction, number>;
  bytesPerSecond: Record<Direction, number>;
  decide: Partial<Record<Direction, Decide>>;
}

const noFaults = (): Faults => ({
  swallowed: new Set(),
  delayMs: { toServer: 0, toClient: 0 },
  pieceBytes: { toServer: Infinity, toClient: Infinity },
  bytesPerSecond: { toServer: Infinity, toClient: Infinity },
  decide: {},
});

interface Passing {
  chunk: Buffer;
  /** A promise holds it. */
  after: unknown;
  waitMs: number;
  maxBytes: number;
}

/** Writes a chunk to its far end, late or in pieces. */
async function pass(wire: Wire, direction: Direction, passing: Passing): Promise<void> {
  const { chunk, after, waitMs, maxBytes } = passing;
  const to = direction === 'toServer' ? wire.server : wire.client;
  await after;
  if (waitMs > 0) await delay(waitMs);
  for (let at = 0; at < chunk.length; at += maxBytes) {
    if (at > 0) await turn();
    to.write(chunk.subarray(at, at + maxBytes));
  }
}

/** Starts the proxy on a free loopback port. */
export async function startTcpProxy(first: Target): Promise<TcpProxy> {
  let target = first;
  const wires = new Set<Wire>();
  let faults = noFaults();
  const listeners = { toServer: new Set<Hear>(), toClient: new Set<Hear>() };
  let connections = 0;
  let isFrozen = false;

  const end = (wire: Wire, how: 'reset' | 'end'): void => {
    wires.delete(wire);
    for (const socket of [wire.client, wire.server]) {
      if (how === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    }
  };

  /** Reads nothing more of the sender while a chunk is on its way. */
  const holdingUp = async (wire: Wire, direction: Direction, passing: () => Promise<void>): Promise<void> => {
    const from = direction === 'toServer' ? wire.client : wire.server;
    from.pause();
    await passing();
    if (!isFrozen) from.resume();
  };

  const carry = (wire: Wire, direction: Direction, chunk: Buffer): void => {
    for (const hear of listeners[direction]) hear(chunk, wire.number);
    const fate = faults.swallowed.has(direction)
      ? 'drop'
      : (faults.decide[direction]?.(chunk, wire.number) ?? 'pass');
    if (fate === 'cut') end(wire, 'reset');
    else if (fate !== 'drop') {
      const takesMs = (chunk.length / faults.bytesPerSecond[direction]) * 1_000;
      const [waitMs, maxBytes] = [faults.delayMs[direction] + takesMs, faults.pieceBytes[direction]];
      const passing = () => pass(wire, direction, { chunk, after: fate, waitMs, maxBytes });
      wire[direction] = wire[direction].then(
        takesMs > 0 ? () => holdingUp(wire, direction, passing) : passing,
      );
    }
  };

  const server = createServer((client) => {
    connections += 1;
    const settled = Promise.resolve();
    const wire: Wire = {
      number: connections,
      client,
      server: connect({ host: target.host, port: target.port }),
      toServer: settled,
      toClient: settled,
    };
    wires.add(wire);
    client.setNoDelay(true);
    wire.server.setNoDelay(true);
    client.on('data', (chunk: Buffer) => carry(wire, 'toServer', chunk));
    wire.server.on('data', (chunk: Buffer) => carry(wire, 'toClient', chunk));
    for (const socket of [client, wire.server]) {
      socket.on('error', () => {});
      // A wire whose far end has swallowed everything must not tell the near end that it is over.
      socket.on('close', () => {
        if (wires.has(wire) && faults.swallowed.size === 0) end(wire, 'end');
      });
      if (isFrozen) socket.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const sockets = (): Socket[] => [...wires].flatMap((wire) => [wire.client, wire.server]);
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    swallow: (direction) => void faults.swallowed.add(direction),
    freeze: () => {
      isFrozen = true;
      for (const socket of sockets()) socket.pause();
    },
    thaw: () => {
      isFrozen = false;
      for (const socket of sockets()) socket.resume();
    },
    cut: (how = 'end') => {
      for (const wire of wires) end(wire, how);
    },
    delay: (direction, ms) => {
      faults.delayMs[direction] = ms;
    },
    throttle: (direction, bytesPerSecond) => {
      faults.bytesPerSecond[direction] = bytesPerSecond;
    },
    chop: (direction, maxBytes) => {
      faults.pieceBytes[direction] = maxBytes;
    },
    intercept: (direction, decide) => {
      faults.decide[direction] = decide;
    },
    hear: (direction, listener) => {
      listeners[direction].add(listener);
      return () => void listeners[direction].delete(listener);
    },
    isOpen: (connection) => [...wires].some((wire) => wire.number === connection),
    mend: () => {
      faults = noFaults();
    },
    lead: (other) => {
      target = other;
    },
    close: async () => {
      for (const wire of wires) end(wire, 'end');
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
