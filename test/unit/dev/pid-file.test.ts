/** Who may use a data folder, and what is done about what an earlier owner left. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearLeftovers, isAbandoned, takeDataDir } from '../../../src/dev/pid-file.ts';
import { identifyProcess, isRunning, type ProcessIdentity } from '../../../src/dev/process-identity.ts';

let dataDir: string;
let bystander: ChildProcess;
const log = () => {};

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'penstock-pids-'));
  bystander = spawn('sleep', ['600']);
  await once(bystander, 'spawn');
});
afterEach(async () => {
  bystander.kill('SIGKILL');
  await rm(dataDir, { recursive: true, force: true });
});

const writePids = (content: object) => writeFile(join(dataDir, 'pids.json'), JSON.stringify(content));
const dead = { pid: 2 ** 22 - 1, started: 'long ago' };

/** A process of a dead owner, which has run the shell's line and now waits. */
async function leave(line: string): Promise<ProcessIdentity> {
  bystander.kill('SIGKILL');
  bystander = spawn('sh', ['-c', `${line}; echo ready; while :; do sleep 0.05; done`]);
  await once(bystander.stdout!, 'data');
  const left = identifyProcess(bystander.pid!)!;
  await writePids({ owner: dead, processes: [{ ...left, name: 'temporal', stopSignal: 'SIGTERM' }] });
  return left;
}

describe('a data folder', () => {
  test('whose owner is alive is refused', async () => {
    await writePids({ owner: identifyProcess(bystander.pid!), processes: [] });
    await expect(takeDataDir(dataDir, log)).rejects.toMatchObject({
      code: 'DATA_DIR_IN_USE',
      message: `${dataDir} is used by process ${bystander.pid}.`,
    });
    expect(isAbandoned(dataDir)).toBe(false);
  });

  test('whose owner is gone is taken, and what it left is ended', async () => {
    const left = identifyProcess(bystander.pid!)!;
    await writePids({ owner: dead, processes: [{ ...left, name: 'redis', stopSignal: 'SIGTERM' }] });
    expect(isAbandoned(dataDir)).toBe(true);
    const lines: string[] = [];
    await takeDataDir(dataDir, (line) => lines.push(line));
    expect(isRunning(left)).toBe(false);
    expect(lines).toEqual([`ending what an earlier start left running: redis (${left.pid})`]);
    expect(isAbandoned(dataDir)).toBe(false);
  });

  test('lets a frozen leftover end cleanly', async () => {
    const end = join(dataDir, 'end');
    const left = await leave(`trap 'echo clean > ${end}; exit' TERM`);
    process.kill(left.pid, 'SIGSTOP');
    await clearLeftovers(dataDir, log);
    expect(isRunning(left)).toBe(false);
    expect(await readFile(end, 'utf8')).toBe('clean\n');
  });

  test('ends a leftover that does not listen', async () => {
    const left = await leave("trap '' TERM");
    await clearLeftovers(dataDir, log, 100);
    expect(isRunning(left)).toBe(false);
  });

  test('never ends a process that only has the pid of an earlier one', async () => {
    const reused = { pid: bystander.pid!, started: 'an earlier boot/1' };
    await writePids({ owner: reused, processes: [{ ...reused, name: 'redis', stopSignal: 'SIGTERM' }] });
    await takeDataDir(dataDir, log);
    expect(identifyProcess(bystander.pid!)).toBeDefined();
  });

  test('with an unreadable pid file is taken', async () => {
    await writeFile(join(dataDir, 'pids.json'), '{"owner": {"pi');
    await takeDataDir(dataDir, log);
    expect(isAbandoned(dataDir)).toBe(false);
  });
});
