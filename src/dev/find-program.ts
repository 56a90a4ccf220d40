/**
 * Finds a server program in a fixed order: (1) the path in the configuration, (2) PATH, if its version is good enough,
 * (3) the project's own cache, (4) an installation into that cache. Says in one line what it chose.
 */
import { access, chmod, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DevOptions } from '../config/dev-options.ts';
import { PenstockError } from '../domain/errors.ts';
import type { ServerProgram } from './programs.ts';
import { runCommand } from './run-command.ts';

export interface FoundProgram {
  readonly file: string;
  readonly version: string;
  readonly route: 'config' | 'path' | 'cache' | 'installed';
}

export interface FindOptions {
  readonly options: DevOptions;
  /** Where programs are kept; created when needed. */
  readonly cacheDir: string;
  readonly log: (line: string) => void;
}

/**
 * @throws PenstockError CONFIG when the configured path is not a good program, SERVER_MISSING (with what was tried and
 * what to type) when no route leads to one
 */
export async function findProgram(program: ServerProgram, find: FindOptions): Promise<FoundProgram> {
  const say = (found: FoundProgram, how: string) => {
    find.log(`${program.name}: ${program.title} ${found.version} ${how}`);
    return found;
  };
  const configured = program.configured(find.options);
  if (configured !== undefined) {
    const version = await versionAt(program, configured).catch((error: Error) => {
      throw new PenstockError('CONFIG', `${program.optionName}: ${error.message}`, { cause: error });
    });
    return say(
      { file: configured, version, route: 'config' },
      `given by ${program.optionName}: ${configured}`,
    );
  }
  const notes: string[] = [];
  const onPath = find.options.ignorePath ? undefined : await findOnPath(program, find.options, notes);
  if (onPath) return say(onPath, `on PATH: ${onPath.file}`);
  const cached = join(find.cacheDir, program.cacheFolder, program.cachedAs);
  const version = await versionAt(program, cached).catch(() => undefined);
  if (version !== undefined)
    return say({ file: cached, version, route: 'cache' }, `from the cache: ${cached}`);
  await rm(join(find.cacheDir, program.cacheFolder), { recursive: true, force: true });
  return install(program, find, notes, say);
}

/** The first good one; one that is not good enough leaves a note. */
async function findOnPath(
  program: ServerProgram,
  options: DevOptions,
  notes: string[],
): Promise<FoundProgram | undefined> {
  for (const folder of options.searchPath) {
    const file = join(folder, program.executable);
    if (!(await isExecutable(file))) continue;
    try {
      return { file, version: await versionAt(program, file), route: 'path' };
    } catch (error) {
      notes.push(`PATH: ${(error as Error).message}`);
    }
  }
  return undefined;
}

async function install(
  program: ServerProgram,
  find: FindOptions,
  notes: string[],
  say: (found: FoundProgram, how: string) => FoundProgram,
): Promise<FoundProgram> {
  const target = join(find.cacheDir, program.cacheFolder);
  for (const { from, install: run } of program.installers) {
    find.log(`${program.name}: installing ${program.title} from ${from} …`);
    await mkdir(find.cacheDir, { recursive: true });
    const folder = await mkdtemp(`${target}.`);
    try {
      // mkdtemp makes it private, but PostgreSQL may have to run as another user.
      await chmod(folder, 0o755);
      await run(folder);
      const version = await versionAt(program, join(folder, program.cachedAs));
      await keep(folder, target);
      const file = join(target, program.cachedAs);
      return say({ file, version, route: 'installed' }, `installed from ${from}: ${file}`);
    } catch (error) {
      notes.push(`${from}: ${(error as Error).message}`);
      find.log(`${program.name}: not from ${from}: ${firstLine((error as Error).message)}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  throw new PenstockError(
    'SERVER_MISSING',
    `No ${program.title} ${program.minVersion} or later.\n${notes.map((note) => `  ${note}`).join('\n')}\n` +
      `${program.cure}, or set ${program.optionName}.`,
  );
}

/** Moves a finished installation into place; one that another process put there meanwhile is as good. */
async function keep(folder: string, target: string): Promise<void> {
  await rename(folder, target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
}

/**
 * The version of the program in that file.
 * @throws Error that says why it is no good: missing, not runnable, too old, without its companions
 */
async function versionAt(program: ServerProgram, file: string): Promise<string> {
  for (const needed of [program.executable, ...program.companions]) {
    const path = needed === program.executable ? file : join(dirname(file), needed);
    if (!(await isExecutable(path))) throw new Error(`${path} is not there or not executable`);
  }
  const printed = await runCommand(file, ['--version'], { timeoutMs: 20_000 });
  const version = program.versionPattern.exec(printed)?.[1];
  if (version === undefined) throw new Error(`${file} prints no version: ${firstLine(printed)}`);
  if (!isAtLeast(version, program.minVersion))
    throw new Error(`${file} is version ${version}, older than ${program.minVersion}`);
  return version;
}

const isExecutable = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );

/** Compares `major.minor`; what follows does not matter here. */
function isAtLeast(version: string, wanted: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

const firstLine = (text: string): string => text.trim().split('\n')[0] ?? '';
