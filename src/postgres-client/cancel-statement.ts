/** Asks a server to stop what a connection is doing; on a connection of its own, as the protocol wants it. */
import { connect as connectTcp } from 'node:net';
import type { Client } from 'pg';

const cancelRequestCode = 80_877_102;
const patienceMs = 2_000;

/** Sends a CancelRequest, which needs neither login nor TLS. Best effort: never throws, waits a moment at most. */
export async function cancelStatement(client: Client): Promise<void> {
  const { processID, secretKey } = client as unknown as {
    processID: number | null;
    secretKey: number | null;
  };
  if (processID === null || secretKey === null) return;
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(cancelRequestCode, 4);
  request.writeInt32BE(processID, 8);
  request.writeInt32BE(secretKey, 12);
  await new Promise<void>((resolve) => {
    const socket = connectTcp({ host: client.host, port: client.port }, () => socket.write(request));
    // The server closes when it has done so. Closing first is a race that pgbouncer before 1.19 does not survive.
    socket.resume();
    socket.setTimeout(patienceMs, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });
}
