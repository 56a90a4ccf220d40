/** The publisher's archive of the Temporal CLI, from a server of our own in its place. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installTemporalFromArchive } from '../../../src/dev/install/archive-download.ts';

let folder: string;
let server: Server | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-archive-'));
});
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  await rm(folder, { recursive: true, force: true });
});

async function install(answer: RequestListener, connectTimeoutMs = 30_000): Promise<void> {
  server = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((resolve) => server!.once('listening', resolve));
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await installTemporalFromArchive({ version: '1.9.1', baseUrl, connectTimeoutMs }, folder);
}

describe('the Temporal CLI from its archive', () => {
  test('is the program of this platform, and nothing else stays', async () => {
    await writeFile(join(folder, 'temporal'), 'the program');
    await writeFile(join(folder, 'LICENSE'), 'the licence');
    const archive = execFileSync('tar', ['-cz', '-C', folder, 'LICENSE', 'temporal']);
    await rm(join(folder, 'temporal'));
    await rm(join(folder, 'LICENSE'));
    const asked: (string | undefined)[] = [];
    await install((request, response) => {
      asked.push(request.url);
      response.end(archive);
    });
    const arch = process.arch === 'x64' ? 'amd64' : process.arch;
    expect(asked).toEqual([`/v1.9.1/temporal_cli_1.9.1_${process.platform}_${arch}.tar.gz`]);
    expect(await readdir(folder)).toEqual(['temporal']);
    expect(await readFile(join(folder, 'temporal'), 'utf8')).toBe('the program');
  });

  test('that is not there is refused with the address and the status', async () => {
    const attempt = install((_, response) => response.writeHead(404).end());
    await expect(attempt).rejects.toThrow(/v1\.9\.1\/temporal_cli_1\.9\.1_.*: HTTP 404$/);
  });

  test('whose publisher does not answer is given up soon, so that another way is tried', async () => {
    await expect(install(() => {}, 100)).rejects.toThrow(/: no answer in time$/);
  });

  test('whose publisher cannot be reached is refused with the reason', async () => {
    const attempt = installTemporalFromArchive({ version: '1.9.1', baseUrl: 'http://127.0.0.1:1' }, folder);
    await expect(attempt).rejects.toThrow(/: (ECONNREFUSED|bad port)$/);
  });
});
