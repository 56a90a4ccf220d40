/** Temporal behind TLS that wants a client's certificate, as Temporal Cloud is: every part of ours gets through to it. */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { examineTemporal } from '../../../src/workers/doctor/examine-temporal.ts';
import { connectClient } from '../../../src/workers/temporal/connect-client.ts';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';

const file = (name: string): string => fileURLToPath(new URL(`../../support/tls/${name}`, import.meta.url));
const [ca, crt, key] = ['ca.pem', 'server.pem', 'server.key'].map((name) => readFileSync(file(name))) as [
  Buffer,
  Buffer,
  Buffer,
];

let room: CopyingRoom;
let front: Server;
let address: string;
const sockets = new Set<Socket>();

beforeAll(async () => {
  room = await createCopyingRoom();
  const [host, port] = room.temporal.address.split(':') as [string, string];
  const tls = { cert: crt, key, ca, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'] };
  front = createServer(tls, (client) => {
    const server = connect(Number(port), host);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => (socket === client ? server : client).destroy());
    }
    client.pipe(server).pipe(client);
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  address = `127.0.0.1:${(front.address() as { port: number }).port}`;
});
afterAll(async () => {
  await room?.close();
  for (const socket of sockets) socket.destroy();
  front?.close();
});

const states = async (access: object): Promise<string[]> =>
  (await examineTemporal({ address, namespace: room.temporal.namespace, ...access })).map(
    ({ name, state }) => `${name} ${state}`,
  );

test('a worker copies through it, a client starts runs, and the doctor finds nothing wrong', async () => {
  await room.destination.query('create schema synced');
  await room.source.query(
    'create table fine as select id from generate_series(1, 9) id; alter table fine add primary key (id)',
  );
  await room.addSync({ name: 'fine', mode: 'upsert', key: ['id'] });
  await room.startWorker('all', {
    temporalAddress: address,
    temporalTlsCa: file('ca.pem'),
    temporalTlsCert: file('server.pem'),
    temporalTlsKey: file('server.key'),
  });
  const tls = { serverRootCACertificate: ca, clientCertPair: { crt, key } };
  const run = await room.startRun('fine');
  const client = connectClient({ address, namespace: room.temporal.namespace, tls });
  try {
    expect(await client.workflow.getHandle(run.workflowId).result()).toMatchObject({ rows: 9 });
  } finally {
    await client.connection.close();
  }
  expect(await states({ tls })).toEqual(['version ok', 'namespace ok', 'search attributes ok']);
});

test.each([
  ['without TLS', {}],
  ['without a certificate', { tls: { serverRootCACertificate: ca } }],
  ['without knowing who signed the server’s', { tls: { clientCertPair: { crt, key } } }],
])('%s it is not reached, and the doctor says so', async (_, access) => {
  expect(await states(access)).toEqual(['reachable failed']);
});
