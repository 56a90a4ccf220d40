/** `penstock start` as a process: what it needs, what it does without it, and how it ends. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer, connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import proto from '@temporalio/proto';
import { searchAttributes } from '../../../src/domain/search-attributes.ts';
import { findFreePort } from '../../../src/dev/free-port.ts';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { faultSeeds } from '../../faults/support/seeds.ts';
import { rollDice } from '../../support/dice.ts';

const cli = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

/** About how many pieces a worker has sent to Temporal by the time it polls. */
const chunksOfAStart = 12;

let room: CopyingRoom;
beforeAll(async () => {
  room = await createCopyingRoom();
});
afterAll(() => room?.close());

/** A door to the Temporal server that can be opened later. */
async function openDoor(port: number): Promise<{ close(): void }> {
  const sockets = new Set<Socket>();
  const { hostname, port: target } = new URL(`http://${room.temporal.address}`);
  const server = createServer((socket) => {
    const inner = connect(Number(target), hostname);
    socket.pipe(inner).pipe(socket);
    for (const end of [socket, inner]) end.on('error', () => socket.destroy());
    socket.on('close', () => inner.destroy());
    sockets.add(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function runCli(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, [cli, ...args], { env: { PATH: process.env['PATH'], ...env } });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, text };
}

describe('a worker', () => {
  test('that starts before Temporal waits, with one line, and works once it is there', async () => {
    const port = await findFreePort();
    const worker = await room.startWorker('all', { temporalAddress: `127.0.0.1:${port}` });
    const waits = async () => (await room.logs()).split('does not answer').length - 1;
    await waitUntil('it says that it waits', async () => (await waits()) === 1);
    const door = await openDoor(port);
    await waitUntil('it works', async () => (await room.logs()).includes('worker: started'));
    expect(await waits()).toBe(1);
    worker.signal('SIGTERM');
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    door.close();
  });

  test('that starts before its namespace waits for it, and gives it its search attributes', async () => {
    const namespace = `late-${randomBytes(6).toString('hex')}`;
    const worker = await room.startWorker('copy', { temporalNamespace: namespace });
    await waitUntil('it says what it waits for', async () =>
      (await room.logs()).includes(`Temporal namespace ${namespace} does not answer`),
    );
    const started = async () => (await room.logs()).split('worker: started').length;
    const before = await started();
    await room.client.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: proto.google.protobuf.Duration.fromObject({ seconds: 86_400 }),
    });
    await waitUntil('it works', async () => (await started()) > before);
    const { customAttributes } = await room.client.connection.operatorService.listSearchAttributes({
      namespace,
    });
    expect(Object.keys(customAttributes)).toEqual(expect.arrayContaining(Object.keys(searchAttributes)));
    worker.signal('SIGTERM');
    expect(await worker.exited).toEqual({ code: 0, signal: null });
  });

  test('whose server is gone ends all the same when it is told to', async () => {
    const port = await findFreePort();
    const door = await openDoor(port);
    const worker = await room.startWorker('all', { temporalAddress: `127.0.0.1:${port}` });
    const starts = async () => (await room.logs()).split('worker: started').length - 1;
    const before = await starts();
    await waitUntil('it works', async () => (await starts()) > before);
    door.close();
    worker.signal('SIGTERM');
    expect((await worker.exited).signal).toBeNull();
  });

  test('that waits for a server ends at once when it is told to', async () => {
    const port = await findFreePort();
    const worker = await room.startWorker('all', { temporalAddress: `127.0.0.1:${port}` });
    await waitUntil('it waits', async () =>
      (await room.logs()).includes(`Temporal at 127.0.0.1:${port} does not answer`),
    );
    worker.signal('SIGTERM');
    expect(await worker.exited).toEqual({ code: 0, signal: null });
  });

  test.each(faultSeeds)(
    'that is told to end while it starts ends in good order (seed %i)',
    async (seed) => {
      const dice = rollDice(seed);
      const [host = '', port] = room.temporal.address.split(':');
      for (const kind of ['copy', 'workflows', 'all', 'all'] as const) {
        const proxy = await startTcpProxy({ host, port: Number(port) });
        const moment = dice.between(1, chunksOfAStart);
        let chunks = 0;
        const reached = new Promise<void>((resolve) =>
          proxy.intercept('toServer', () => {
            if (++chunks === moment) resolve();
            return 'pass';
          }),
        );
        try {
          const worker = await room.startWorker(kind, { temporalAddress: `127.0.0.1:${proxy.port}` });
          await reached;
          worker.signal('SIGTERM');
          expect([kind, moment, await worker.exited]).toEqual([kind, moment, { code: 0, signal: null }]);
        } finally {
          await proxy.close();
        }
      }
      const said = await room.logs();
      expect(said).not.toContain('did not stop cleanly');
      expect(said).not.toContain('still holds the process');
    },
    180_000,
  );

  test('that connects to a server which never answers ends all the same when it is told to', async () => {
    const [host = '', port] = room.temporal.address.split(':');
    const proxy = await startTcpProxy({ host, port: Number(port) });
    proxy.freeze();
    try {
      const worker = await room.startWorker('copy', { temporalAddress: `127.0.0.1:${proxy.port}` });
      await waitUntil('it connects', () => proxy.connections > 0);
      worker.signal('SIGTERM');
      expect(await worker.exited).toEqual({ code: 0, signal: null });
      expect(await room.logs()).toContain('still holds the process');
    } finally {
      await proxy.close();
    }
  });

  test('that waits for the control database ends at once when it is told to', async () => {
    const port = await findFreePort();
    const worker = await room.startWorker('copy', { databaseUrl: `postgres://nobody:x@127.0.0.1:${port}/x` });
    await waitUntil('it waits', async () => (await room.logs()).includes('control database does not answer'));
    worker.signal('SIGTERM');
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(await room.logs()).not.toContain('nobody:x');
  });
});

describe('a wrong option', () => {
  test.each([
    ['an unknown role', ['start', '--roles', 'worker,boss'], /--roles must be any of .*not "boss"/],
    [
      'an unknown kind of worker',
      ['start', '--roles', 'worker', '--worker', 'some'],
      /--worker must be copy, workflows or all/,
    ],
    ['a missing option', ['start', '--roles', 'worker'], /databaseUrl is missing: set PENSTOCK_DATABASE_URL/],
  ])('is one clear line and exit code 78: %s', async (_, args, line) => {
    const { code, text } = await runCli(args);
    expect(code).toBe(78);
    expect(text.trim().split('\n')).toHaveLength(1);
    expect(text).toMatch(line);
  });
});
