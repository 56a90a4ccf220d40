/**
 * PostgreSQL refuses to run as root. When this process is root: run it as an unprivileged user that can reach its
 * files, else inside a user namespace in which root is somebody else. No system user is ever created.
 */
import { chown, lchown, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PenstockError } from '../domain/errors.ts';
import { runCommand } from './run-command.ts';

/** How to run a PostgreSQL program. */
export interface RunAs {
  readonly uid?: number;
  readonly gid?: number;
  /** Puts something in front of the command. */
  readonly wrap: (command: string, args: readonly string[]) => { command: string; args: string[] };
}

/** `nobody` on Debian and most others; a number needs no entry in the user database. */
const unprivileged = 65_534;

const plainly: RunAs['wrap'] = (command, args) => ({ command, args: [...args] });

const inUserNamespace: RunAs['wrap'] = (command, args) => ({
  command: 'unshare',
  args: ['--user', '--map-user=1000', '--map-group=1000', command, ...args],
});

/**
 * Chooses how to run the program on data in that folder, and gives the folder to whom it will run as.
 * @throws PenstockError SERVER_FAILED with what to type when root has no way
 */
export async function chooseRunAs(program: string, folder: string): Promise<RunAs> {
  await mkdir(folder, { recursive: true });
  if (process.getuid?.() !== 0) return { wrap: plainly };
  await give(folder, unprivileged);
  if (await canReach(program, folder)) return { uid: unprivileged, gid: unprivileged, wrap: plainly };
  await give(folder, 0);
  const namespaced = inUserNamespace(program, ['--version']);
  const why = await runCommand(namespaced.command, namespaced.args).then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (why === undefined) return { wrap: inUserNamespace };
  throw new PenstockError(
    'SERVER_FAILED',
    `PostgreSQL does not run as root, user ${unprivileged} cannot reach ${program} and ${folder}, and there are no ` +
      `user namespaces here (${why}). Make the folders readable for all (chmod a+rx), or run as another user.`,
  );
}

const canReach = (program: string, folder: string): Promise<boolean> =>
  runCommand('/bin/sh', ['-c', 'test -x "$0" && test -w "$1" && cd "$1"', program, folder], {
    uid: unprivileged,
    gid: unprivileged,
    cwd: '/',
  }).then(
    () => true,
    () => false,
  );

/** chown -R; a folder that belongs to that user already is left alone. */
async function give(folder: string, owner: number): Promise<void> {
  if ((await stat(folder)).uid === owner) return;
  for (const entry of await readdir(folder, { recursive: true }))
    await lchown(join(folder, entry), owner, owner);
  await chown(folder, owner, owner);
}
