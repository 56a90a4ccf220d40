/** Picks a loopback port for a server that keeps it over restarts. */
import { createServer } from 'node:net';
import { randomInt } from 'node:crypto';
import { PenstockError } from '../domain/errors.ts';

/**
 * Below the range that systems give to outgoing connections (Linux from 32768, macOS from 49152): while a server is
 * down, a client that retries on loopback could otherwise be given the server's own port and talk to itself.
 */
const lowest = 16_384;
const highest = 32_000;

/**
 * A port of 127.0.0.1 that nobody listens on now.
 * @throws PenstockError SERVER_FAILED when 100 random ports were all taken
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(lowest, highest);
    if (await isFree(port)) return port;
  }
  throw new PenstockError('SERVER_FAILED', `No free port found between ${lowest} and ${highest}.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1' }, () => probe.close(() => resolve(true)));
  });
}
