/** P11: what this process knows never reaches a tenant's host by accident, and what fails is named without secrets. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { createHostGuard } from '../../../src/config/host-guard.ts';
import { openPostgresDestination } from '../../../src/destinations/postgres/postgres-destination.ts';
import type { ConnectionAccess } from '../../../src/ports/connection.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import { createPipeRoom, type PipeRoom } from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
});
afterAll(() => room.close());

const check = (access: ConnectionAccess, end: 'source' | 'destination') =>
  end === 'source'
    ? openPostgresSource(access, room.memory).check()
    : openPostgresDestination(access).check();

describe.each(['source', 'destination'] as const)('a %s', (end) => {
  const code = (what: string): string => `${end.toUpperCase()}_${what}`;

  test('answers with its version', async () => {
    const { version } = await check(room.sourceAccess, end);
    expect(version).toMatch(/^\d+/);
  });

  test.each(['host', 'database', 'user', 'password'] as const)(
    'an empty %s is refused: it would fall back to this process’s own',
    async (field) => {
      const refused = check({ ...room.sourceAccess, [field]: '' }, end);
      await expect(refused).rejects.toMatchObject({ code: code('AUTH') });
    },
  );

  test('a wrong password is refused, and not repeated in the error', async () => {
    const refused = check({ ...room.sourceAccess, password: 'wrong-secret' }, end);
    await expect(refused).rejects.toMatchObject({
      code: code('AUTH'),
      message: expect.not.stringContaining('wrong-secret'),
    });
  });

  test('a database that does not exist', async () => {
    await expect(check({ ...room.sourceAccess, database: 'nowhere' }, end)).rejects.toMatchObject({
      code: code('AUTH'),
    });
  });

  test('a port where nothing listens', async () => {
    await expect(check({ ...room.sourceAccess, port: 1 }, end)).rejects.toMatchObject({
      code: code('UNREACHABLE'),
    });
  });

  test('a host whose name does not resolve is this end’s fault', async () => {
    const nowhere = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
    const { resolve } = createHostGuard([], () => Promise.reject(nowhere));
    await expect(
      check({ ...room.sourceAccess, host: 'nowhere.example.com', resolve }, end),
    ).rejects.toMatchObject({
      code: code('UNREACHABLE'),
      message: expect.stringContaining('the host name does not resolve'),
      pointer: undefined,
    });
  });

  test('TLS that the server does not offer is not given up', async () => {
    const refused = check({ ...room.sourceAccess, tls: { mode: 'require' } }, end);
    await expect(refused).rejects.toMatchObject({ code: code('UNREACHABLE') });
  });
});

describe('the PG* variables of this process', () => {
  const names = [
    'PGUSER',
    'PGPASSWORD',
    'PGHOST',
    'PGPORT',
    'PGDATABASE',
    'PGOPTIONS',
    'PGAPPNAME',
    'PGSSLMODE',
    'PGCLIENTENCODING',
    'PGREPLICATION',
  ];
  const kept = Object.fromEntries(names.map((name) => [name, process.env[name]]));
  afterEach(() => {
    for (const name of names) {
      if (kept[name] === undefined) delete process.env[name];
      else process.env[name] = kept[name];
    }
  });

  test('none of them is sent to a tenant’s host', async () => {
    let sent = '';
    const listening: Server = createServer((socket) => {
      socket.on('data', (chunk) => {
        sent += chunk.toString('latin1');
        socket.destroy();
      });
    });
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    for (const name of names) process.env[name] = `operator-${name}`;
    process.env['PGPORT'] = '1';
    const { port } = listening.address() as AddressInfo;
    const access = { ...room.sourceAccess, host: '127.0.0.1', port, user: 'tenant', database: 'theirs' };
    await expect(check(access, 'source')).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });
    expect(sent).toContain('tenant');
    expect(sent).toContain('theirs');
    expect(sent).not.toContain('operator');
    await new Promise((resolve) => listening.close(resolve));
  });
});
