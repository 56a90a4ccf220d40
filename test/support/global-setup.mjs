/** Jest's set-up of every test that needs servers: builds `dist/` when needed and starts a stack for each worker. */
import { buildIfStale } from '../../bin/set-up.mjs';
import './register-ts.mjs';

/**
 * Starts the stacks that the test files share; the teardown stops them.
 * @param {{ maxWorkers: number }} jest
 */
export default async function setUp({ maxWorkers }) {
  try {
    buildIfStale();
  } catch (error) {
    // Type errors stop neither the compiler's output nor the tests of what is not concerned.
    process.stderr.write(`${String(error)}\n`);
  }
  const { startSharedStacks } = await import('./shared-stack.ts');
  await startSharedStacks(maxWorkers);
}
