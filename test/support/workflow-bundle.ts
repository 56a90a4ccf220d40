/** The workflow bundle for tests, made from the sources once for as long as they stay the same. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflows } from '../../src/workers/build-workflow-bundle.ts';

const src = fileURLToPath(new URL('../../src', import.meta.url));
const cache = fileURLToPath(new URL('../../.penstock/cache/workflow-bundles', import.meta.url));

/** Everything that may end up in the bundle: workflows, the domain, and the contract of the activities. */
const folders = ['workflows', 'domain', 'activities'];

/** Path of the bundle's code. */
export async function workflowBundlePath(): Promise<string> {
  const hash = createHash('sha256').update(readFileSync(join(src, '../package-lock.json')));
  for (const folder of folders)
    for (const name of readdirSync(join(src, folder)).sort())
      hash.update(name).update(readFileSync(join(src, folder, name)));
  const path = join(cache, `${hash.digest('hex').slice(0, 20)}.js`);
  if (!existsSync(path)) {
    mkdirSync(cache, { recursive: true });
    const draft = `${path}.${process.pid}`;
    writeFileSync(draft, await bundleWorkflows(join(src, 'workflows/index.ts')));
    renameSync(draft, path);
  }
  return path;
}
