/**
 * How a connection to Redis is opened, so that it ends with its first error. TLS tells one without closing, when a server
 * that wants our certificate breaks off after the handshake; ioredis listens for one alone, and the next, at the latest
 * when the silence is noticed, would end the process.
 */
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, SentinelConnector, type RedisOptions } from 'ioredis';

type Stream = Awaited<ReturnType<AbstractConnector['connect']>>;
function endAtError(stream: Stream): Stream {
  return stream.on('error', () => stream.destroy());
}

/** For one server, or the nodes of a cluster; `onError` hears why one was not reached, of which ioredis tells nobody. */
export const nodeConnector = (
  onError?: (error: Error) => void,
): new (options: unknown) => AbstractConnector =>
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
        onError?.(error);
      });
      return endAtError(this.stream);
    }
  };

/** For the master that Sentinels name. */
export class MasterConnector extends SentinelConnector {
  constructor(options: unknown) {
    super(options as RedisOptions);
  }

  override async connect(...emitter: Parameters<SentinelConnector['connect']>): Promise<Stream> {
    return endAtError(await super.connect(...emitter));
  }
}
