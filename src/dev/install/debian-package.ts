/** Installs a Debian package, when this process is root on a system with apt; the only route that leaves the cache. */
import { runCommand } from '../run-command.ts';

/** @throws Error when this is no Debian, the process is not root, or apt fails */
export async function installDebianPackage(name: string): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error(`apt-get install ${name} needs root`);
  await runCommand('apt-get', ['update', '-qq'], { timeoutMs: 120_000 });
  await runCommand('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name], {
    timeoutMs: 300_000,
  });
}
