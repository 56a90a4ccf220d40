/** How connections to tenants' databases are made: to addresses that were checked, with the certificate of the host. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createHostGuard } from '../../src/config/host-guard.ts';
import type { ConnectionAccess } from '../../src/ports/connection.ts';
import { connect, destroy } from '../../src/postgres-client/connect.ts';
import { connectionFault } from '../../src/postgres-client/driver-errors.ts';

const pem = (name: string): string =>
  readFileSync(new URL(`../support/tls/${name}`, import.meta.url), 'utf8');
const sslRequest = 80877103;
const loggedIn = Buffer.from('R\0\0\0\u0008\0\0\0\0Z\0\0\0\u0005I', 'latin1');

/** Speaks just enough of Postgres' protocol: upgrades to TLS when asked, and lets everybody in. */
function createPostgresDouble(names: string[]): Server {
  return createServer((socket: Socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes: Buffer) => {
      if (bytes.readInt32BE(4) !== sslRequest) {
        socket.write(loggedIn);
        return;
      }
      socket.write('S');
      const secure = new TLSSocket(socket, {
        isServer: true,
        key: pem('server.key'),
        cert: pem('server.pem'),
        SNICallback: (name, done) => {
          names.push(name);
          done(null);
        },
      });
      secure.on('error', () => {});
      secure.once('data', () => secure.write(loggedIn));
    });
  });
}

let server: Server;
let port: number;
const names: string[] = [];
beforeAll(async () => {
  server = createPostgresDouble(names);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => void server.close());
beforeEach(() => {
  names.length = 0;
});

const access = (over: Partial<ConnectionAccess>): ConnectionAccess => ({
  connectionId: 'con_x',
  kind: 'postgres',
  host: 'db.example.com',
  port,
  database: 'd',
  user: 'u',
  password: 'p',
  tls: { mode: 'disable' },
  resolve: async () => ['127.0.0.1'],
  ...over,
});

async function connects(over: Partial<ConnectionAccess>): Promise<boolean> {
  destroy(await connect(access(over)));
  return true;
}

describe('a connection to a tenant’s database', () => {
  test('goes to the address that was checked, not to what the name says a moment later', async () => {
    expect(await connects({ host: 'name-that-resolves-nowhere.invalid' })).toBe(true);
  });

  test('is not made where the guard refuses', async () => {
    const { resolve } = createHostGuard([]);
    await expect(connects({ host: '127.0.0.1', resolve })).rejects.toMatchObject({
      code: 'HOST_NOT_ALLOWED',
    });
  });

  test('tries the next address of the host when one does not answer', async () => {
    expect(await connects({ resolve: async () => ['127.0.0.2', '127.0.0.1'] })).toBe(true);
    await expect(connects({ resolve: async () => ['127.0.0.2', '127.0.0.3'] })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
  });

  test('tries the next address when one takes the connection and says nothing, and tells that of the last', async () => {
    const held: Socket[] = [];
    const silent = createServer((socket) => void held.push(socket));
    silent.listen(port, '127.0.0.4');
    await once(silent, 'listening');
    const resolve = async () => ['127.0.0.4', '127.0.0.1'];
    try {
      destroy(await connect(access({ resolve }), { connectMs: 2_000 }));
      const error: unknown = await connect(access({ resolve: async () => ['127.0.0.4'] }), {
        connectMs: 50,
      }).catch((refused: unknown) => refused);
      expect(error).toMatchObject({ code: 'ETIMEDOUT' });
      expect(connectionFault(error)).toBe('no answer in time');
    } finally {
      for (const socket of held) socket.destroy();
      silent.close();
    }
  });

  const verify = { mode: 'verify-full', ca: pem('ca.pem') } as const;

  test('verifies the certificate of the host name, whatever address it was reached at', async () => {
    expect(await connects({ tls: verify })).toBe(true);
    expect(names).toEqual(['db.example.com']);
    expect(await connects({ tls: verify, host: '127.0.0.1' })).toBe(true);
    await expect(connects({ tls: verify, host: 'other.example.com' })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });

  test('trusts the public authorities only, unless told of another', async () => {
    await expect(connects({ tls: { mode: 'verify-full' } })).rejects.toThrow('certificate');
    expect(await connects({ tls: { mode: 'require' }, host: 'other.example.com' })).toBe(true);
  });
});
