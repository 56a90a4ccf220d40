/** The workflow bundle for tests, made from the sources once for as long as they stay the same. */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflows } from '../../src/workers/build-workflow-bundle.ts';

const sourceDir = fileURLToPath(new URL('../../src', import.meta.url));
const cache = fileURLToPath(new URL('../../.penstock/cache/workflow-bundles', import.meta.url));

/** Everything that may end up in the bundle: workflows, the domain, and the contract of the activities. */
const folders = ['workflows', 'domain', 'activities'];

/** Path of the bundle's code, changed so. */
export async function workflowBundlePath(mutation?: Mutation): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(mutation ?? null));
  for (const file of ['../package-lock.json', ...bundledFiles()])
    hash.update(file).update(readFileSync(join(sourceDir, file)));
  const name = hash.digest('hex').slice(0, 20);
  const path = join(cache, `${name}.js`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const draft = `${path}.${process.pid}`;
  const folder = mutation ? copyMutated(join(cache, name), mutation) : sourceDir;
  writeFileSync(draft, await bundleWorkflows(join(folder, 'workflows/index.ts')));
  if (mutation) rmSync(folder, { recursive: true });
  renameSync(draft, path);
  return path;
}

/** A change of the workflow code: texts of one file, and what stands there instead. */
export interface Mutation {
  /** Below `src/workflows`. */
  readonly file: string;
  readonly changes: readonly (readonly [from: string, to: string])[];
}

const bundledFiles = (): string[] =>
  folders.flatMap((folder) =>
    readdirSync(join(sourceDir, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .sort()
      .map((name) => join(folder, name)),
  );

function copyMutated(target: string, { file, changes }: Mutation): string {
  for (const folder of folders) cpSync(join(sourceDir, folder), join(target, folder), { recursive: true });
  const path = join(target, 'workflows', file);
  let source = readFileSync(path, 'utf8');
  for (const [from, to] of changes) {
    if (!source.includes(from)) throw new Error(`${file} has no "${from}" to mutate`);
    source = source.replaceAll(from, to);
  }
  writeFileSync(path, source);
  return target;
}
