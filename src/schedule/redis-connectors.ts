/**
 * How a connection to Redis is opened, so that it ends with its first error. TLS tells one without closing, when a server
 * that wants our certificate breaks off after the handshake; ioredis listens for one alone, and the next, at the latest
 * when the silence is noticed, would end the process. And why a server was not reached, of which ioredis tells half.
 */
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, SentinelConnector, type RedisOptions } from 'ioredis';

/** Why a server, or a Sentinel, was not reached or has let go. */
export interface Unreached {
  /** `host:port`. */
  readonly server: string;
  readonly error: Error;
}
type Hear = (unreached: Unreached) => void;

type Stream = Awaited<ReturnType<AbstractConnector['connect']>>;

function endAtError(stream: Stream, server: string, hear: Hear): Stream {
  const unreached = (error: Error): void => hear({ server, error });
  // Until something is heard of it, or a connection stands.
  unreached(new Error('does not answer'));
  // As one that speaks TLS does to who does not.
  stream.once('end', () => {
    if (stream.bytesRead === 0) unreached(new Error('closes the connection without a word'));
  });
  return stream.on('error', (error) => {
    unreached(error);
    stream.destroy();
  });
}

/** For one server, the nodes of a cluster, or Sentinels. */
export const nodeConnector = (hear: Hear): new (options: unknown) => AbstractConnector =>
  class extends AbstractConnector {
    readonly #options: RedisOptions;

    constructor(options: unknown) {
      super((options as RedisOptions).disconnectTimeout!);
      this.#options = options as RedisOptions;
    }

    async connect(): Promise<Stream> {
      const { host, port, family, tls } = this.#options;
      this.connecting = true;
      await Promise.resolve();
      if (!this.connecting) throw new Error('Connection is closed.');
      const address = { host, port: port!, family };
      this.stream = tls ? connectTls({ ...address, ...tls }) : connectTcp(address);
      this.stream.once('error', (error) => {
        this.firstError = error;
      });
      return endAtError(this.stream, `${host}:${port}`, hear);
    }
  };

interface Door {
  connectToSentinel(endpoint: unknown, options?: RedisOptions): unknown;
}

/** For the master that Sentinels name. */
export const masterConnector = (hear: Hear): new (options: unknown) => SentinelConnector =>
  class extends SentinelConnector {
    constructor(options: unknown) {
      super(options as RedisOptions);
      // Private in its types, and the only way to the connections to Sentinels, of whose errors nothing is told.
      const door = this as unknown as Door;
      const open = door.connectToSentinel.bind(this);
      door.connectToSentinel = (endpoint, more) =>
        open(endpoint, { ...more, Connector: nodeConnector(hear) });
    }

    override async connect(...emitter: Parameters<SentinelConnector['connect']>): Promise<Stream> {
      const stream = await super.connect(...emitter);
      return endAtError(stream, 'the master that the Sentinels name', hear);
    }
  };
