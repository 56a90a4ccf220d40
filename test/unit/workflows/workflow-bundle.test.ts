/** What the workflow code must be, whatever it does: small, without state of its own, on one protobufjs. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { workflowBundlePath } from '../../support/workflow-bundle.ts';

const packageDir = fileURLToPath(new URL('../../..', import.meta.url));
const workflows = join(packageDir, 'src/workflows');

/** Of which the SDK itself is 1.6 MiB; what is added by mistake is a library. */
const maxBundleBytes = 2 * 1024 * 1024;

/** Module level is shared by all runs that a worker has in its cache: what can change there leaks between them. */
function findModuleState(source: string): string[] {
  return source
    .split('\n')
    .filter(
      (line) =>
        /^(export\s+)?(let|var)\s/.test(line) ||
        /^(export\s+)?const\s.*=\s*(new\s|\[\s*\]|\{\s*\})/.test(line),
    );
}

describe('the workflow code', () => {
  test('bundles into less than 2 MiB', async () => {
    expect(statSync(await workflowBundlePath()).size).toBeLessThan(maxBundleBytes);
  });

  test('keeps no state at module level', () => {
    for (const name of readdirSync(workflows))
      expect({ name, state: findModuleState(readFileSync(join(workflows, name), 'utf8')) }).toEqual({
        name,
        state: [],
      });
  });

  test.each([
    'let count = 0;',
    'export let count = 0;',
    'const seen = new Map();',
    'const seen: string[] = [];',
  ])('would be found to keep state by "%s"', (planted) => {
    expect(findModuleState(`/** A file. */\n${planted}\n`)).toEqual([planted]);
  });
});

describe('protobufjs', () => {
  test('8 is installed once, or replay would throw "type must be a Type"', () => {
    const lock = JSON.parse(readFileSync(join(packageDir, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { version: string }>;
    };
    // A copy of version 7 belongs to gRPC's loader of .proto files, which the SDK does not use.
    const copies = Object.entries(lock.packages).flatMap(([path, { version }]) =>
      path.endsWith('node_modules/protobufjs') && version.startsWith('8.') ? [path] : [],
    );
    expect(copies).toEqual(['node_modules/protobufjs']);
  });

  test('is the same for every part of the SDK', () => {
    const paths = ['proto', 'common', 'client', 'worker'].map((part) =>
      createRequire(join(packageDir, 'node_modules/@temporalio', part, 'package.json')).resolve('protobufjs'),
    );
    expect(new Set(paths).size).toBe(1);
  });
});
