/** Roles behind the guard: started again when they die, drained before the servers they use are stopped. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identifyProcess } from '../../../src/dev/process-identity.ts';
import { startRoles, type RoleProcesses } from '../../../src/dev/role-processes.ts';
import { startStack, type Stack } from '../../../src/dev/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

let dataDir: string;
let stack: Stack<'redis'>;
let lines: string[];
let changes: number;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'penstock-roles-'));
  [lines, changes] = [[], 0];
  stack = await startStack({ dataDir, servers: ['redis'], log: () => {} });
});
afterEach(async () => {
  await stack.stop({ discard: true });
  await rm(dataDir, { recursive: true, force: true });
});

const start = (script: string, count = 1): Promise<RoleProcesses> =>
  startRoles({
    guard: stack.guard,
    pidFile: stack.pidFile,
    log: (line) => lines.push(line),
    onChange: () => changes++,
    processes: Array.from({ length: count }, (_, n) => ({
      name: `worker-${n + 1}`,
      role: 'worker',
      spec: {
        command: process.execPath,
        args: ['-e', script, String(stack.redis.port), join(dataDir, 'drained')],
        logFile: join(dataDir, 'logs', `worker-${n + 1}.log`),
      },
    })),
  });

const waiting = 'setInterval(() => {}, 1000)';

describe('a role', () => {
  test('that is killed is started again, beside one that goes on', async () => {
    const roles = await start(waiting, 2);
    const [killed, other] = roles.pids()['worker']!;
    process.kill(killed!, 'SIGKILL');
    await waitUntil('two workers run again', () => {
      const now = roles.pids()['worker'] ?? [];
      return now.length === 2 && !now.includes(killed!);
    });
    expect(roles.pids()['worker']).toContain(other);
    expect(lines).toEqual([`worker-1 (${killed}) ended by SIGKILL; starting it again`]);
    // Two starts, one end, one start again: each is reported, so that dev.json is never behind.
    expect(changes).toBe(4);
    roles.letGo();
  });

  test('that refuses its configuration is not started again', async () => {
    const { refused } = await start('process.exit(78)');
    await expect(refused).rejects.toMatchObject({ code: 'CONFIG' });
    expect(changes).toBe(2);
  });

  test('drains while the servers are still there, and is not started again', async () => {
    const drain = `
      const [, port, file] = process.argv;
      process.on('SIGTERM', () => {
        // The work in hand takes much longer than Redis would need to stop.
        setTimeout(() => {
          const socket = require('node:net').connect(port, '127.0.0.1', () => socket.write('PING\\r\\n'));
          socket.on('data', (reply) => {
            require('node:fs').writeFileSync(file, reply);
            process.exit(0);
          });
        }, 1500);
      });
      setInterval(() => {}, 1000);
      console.log('ready');`;
    const roles = await start(drain);
    await waitUntil('the role listens for SIGTERM', async () =>
      (await readFile(join(dataDir, 'logs', 'worker-1.log'), 'utf8')).includes('ready'),
    );
    const [pid] = roles.pids()['worker']!;
    const redisPid = stack.redis.pid();
    roles.letGo();
    await stack.stop();
    expect(await readFile(join(dataDir, 'drained'), 'utf8')).toBe('+PONG\r\n');
    expect([pid!, redisPid].map(identifyProcess)).toEqual([undefined, undefined]);
    expect(lines).toEqual([]);
  });
});
