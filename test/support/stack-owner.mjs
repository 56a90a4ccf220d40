/**
 * A process that owns a stack and does nothing else, for tests that kill it. Prints the pids and URLs as one line.
 * Arguments: data folder, then the servers.
 */
import { startStack } from '../../dist/dev/stack.js';

const [dataDir = '', ...names] = process.argv.slice(2);
const servers = /** @type {import('../../dist/dev/programs.js').ServerName[]} */ (names);
const stack = await startStack({ dataDir, servers, log: () => {} });
process.stdout.write(`${JSON.stringify({ pids: stack.pids(), redisUrl: stack.redis?.url })}\n`);
