/** TLS in front of a server that speaks plain text, with the certificate of test/support/tls. */
import { readFileSync } from 'node:fs';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { fileURLToPath } from 'node:url';

/** Path of a file of test/support/tls: `ca.pem`, `server.pem` or `server.key`. */
export const tlsFile = (name: string): string => fileURLToPath(new URL(`tls/${name}`, import.meta.url));

export interface TlsFront {
  /** On 127.0.0.1. */
  readonly port: number;
  /** Ends its connections, too. */
  readonly close: () => void;
}

/** @param options beside certificate and key */
export async function startTlsFront(
  target: { host: string; port: number },
  options: TlsOptions = {},
): Promise<TlsFront> {
  const [cert, key] = ['server.pem', 'server.key'].map((name) => readFileSync(tlsFile(name)));
  const sockets = new Set<Socket>();
  const front = createServer({ cert: cert!, key: key!, ...options }, (client) => {
    const server = connect(target.port, target.host);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => (socket === client ? server : client).destroy());
    }
    client.pipe(server).pipe(client);
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  return {
    port: (front.address() as AddressInfo).port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      front.close();
    },
  };
}
