/** Installs the Temporal CLI from its publisher's release archive. */
import { writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../run-command.ts';

const releases = 'https://github.com/temporalio/cli/releases/download';

/** For the whole archive, some 50 MB. */
const wholeWithinMs = 300_000;

interface DownloadOptions {
  version: string;
  /** Where the releases lie; another one only in tests. */
  baseUrl?: string;
  /** Until the first byte. Short: without a route to the publisher another way is tried. */
  connectTimeoutMs?: number;
}

/**
 * Downloads the archive of this platform and unpacks the program `temporal` into the folder.
 * @throws Error when the publisher cannot be reached in time or has no build for the platform
 */
export async function installTemporalFromArchive(options: DownloadOptions, folder: string): Promise<void> {
  const { version, baseUrl = releases, connectTimeoutMs = 8_000 } = options;
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const url = `${baseUrl}/v${version}/temporal_cli_${version}_${process.platform}_${arch}.tar.gz`;
  const archive = join(folder, 'temporal.tar.gz');
  await writeFile(archive, await download(url, connectTimeoutMs));
  await runCommand('tar', ['-xzf', archive, '-C', folder, 'temporal']);
  await rm(archive);
}

async function download(url: string, connectTimeoutMs: number): Promise<Uint8Array> {
  const slow = new AbortController();
  const timer = setTimeout(() => slow.abort(), connectTimeoutMs);
  let response: Response;
  try {
    response = await fetch(url, {
      signal: AbortSignal.any([slow.signal, AbortSignal.timeout(wholeWithinMs)]),
    });
  } catch (error) {
    throw new Error(`${url}: ${slow.signal.aborted ? 'no answer in time' : reasonOf(error)}`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** fetch hides the reason (ENOTFOUND, ECONNREFUSED) in the cause of "fetch failed". */
function reasonOf(error: unknown): string {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  return cause?.code ?? cause?.message ?? String(error);
}
