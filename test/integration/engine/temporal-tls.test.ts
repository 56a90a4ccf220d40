/** Temporal behind TLS that wants a client's certificate, as Temporal Cloud is: every part of ours gets through to it. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { examineTemporal } from '../../../src/workers/doctor/examine-temporal.ts';
import { connectClient } from '../../../src/workers/temporal/connect-client.ts';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';
import { startTlsFront, tlsFile, type TlsFront } from '../../support/tls-front.ts';

const ca = readFileSync(tlsFile('ca.pem'));
/** What a client is to know, and to show. */
const mutual = {
  serverRootCACertificate: ca,
  clientCertPair: { crt: readFileSync(tlsFile('server.pem')), key: readFileSync(tlsFile('server.key')) },
};

let room: CopyingRoom;
let front: TlsFront;
let address: string;

beforeAll(async () => {
  room = await createCopyingRoom();
  const [host, port] = room.temporal.address.split(':') as [string, string];
  const strict = { ca, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'] };
  front = await startTlsFront({ host, port: Number(port) }, strict);
  address = `127.0.0.1:${front.port}`;
});
afterAll(async () => {
  await room?.close();
  front?.close();
});

const states = async (access: object): Promise<string[]> =>
  (await examineTemporal({ address, namespace: room.temporal.namespace, ...access })).map(
    ({ name, state }) => `${name} ${state}`,
  );

test('a worker copies through it, a client starts runs, and the doctor finds nothing wrong', async () => {
  await room.source.query(
    'create table fine as select id from generate_series(1, 9) id; alter table fine add primary key (id)',
  );
  await room.addSync({ name: 'fine', mode: 'upsert', key: ['id'] });
  await room.startWorker('all', {
    temporalAddress: address,
    temporalTlsCa: tlsFile('ca.pem'),
    temporalTlsCert: tlsFile('server.pem'),
    temporalTlsKey: tlsFile('server.key'),
  });
  const run = await room.startRun('fine');
  const client = connectClient({ address, namespace: room.temporal.namespace, tls: mutual });
  try {
    expect(await client.workflow.getHandle(run.workflowId).result()).toMatchObject({ rows: 9 });
  } finally {
    await client.connection.close();
  }
  expect(await states({ tls: mutual })).toEqual(['version ok', 'namespace ok', 'search attributes ok']);
});

test('without TLS, a certificate, or knowing who signed the server’s it is not reached, and the doctor says so', async () => {
  const { serverRootCACertificate, clientCertPair } = mutual;
  const strangers = [{}, { tls: { serverRootCACertificate } }, { tls: { clientCertPair } }];
  const refused = ['reachable failed'];
  expect(await Promise.all(strangers.map(states))).toEqual([refused, refused, refused]);
});
