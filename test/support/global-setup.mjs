/** Jest's set-up of every test that needs servers: builds `dist/` when needed and starts one shared stack. */
import { buildIfStale } from '../../bin/set-up.mjs';
import './register-ts.mjs';

/** Starts the stack that all test files share; the teardown stops it. */
export default async function setUp() {
  try {
    buildIfStale();
  } catch (error) {
    // Type errors stop neither the compiler's output nor the tests of what is not concerned.
    process.stderr.write(`${String(error)}\n`);
  }
  const { startSharedStack } = await import('./shared-stack.ts');
  await startSharedStack();
}
