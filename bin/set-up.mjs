// @ts-check
/**
 * Sets up a checkout: checks Node, installs packages when the lock file has changed, builds `dist/` when a source has.
 * What it does and says goes to standard error; standard output belongs to the command.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const packageDir = fileURLToPath(new URL('..', import.meta.url));

/** Puts this machine and this checkout into a state in which everything runs; does nothing when they are. */
export async function setUp() {
  checkNode();
  if (!arePackagesCurrent()) installPackages();
  buildIfStale();
}

/** @param {string} message  a line that says what to do; no stack trace is shown */
export const plainError = (message) => Object.assign(new Error(message), { plain: true });

function checkNode() {
  const { engines } = readJson('package.json');
  const wanted = engines.node.replace('>=', '').split('.').map(Number);
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > wanted[0] || (major === wanted[0] && minor >= wanted[1])) return;
  throw plainError(`Node ${wanted.join('.')} or later is needed; this is ${process.versions.node}.`);
}

/** npm keeps what it installed in node_modules/.package-lock.json: compare that with the lock file. */
function arePackagesCurrent() {
  if (!existsSync(join(packageDir, 'node_modules', '.package-lock.json'))) return false;
  const wanted = readJson('package-lock.json').packages;
  const installed = readJson('node_modules/.package-lock.json').packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  );
}

function installPackages() {
  say('installing packages (npm ci) …');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

/** Builds `dist/` unless it was made from exactly these sources. */
export function buildIfStale() {
  const stamp = join(packageDir, 'dist', '.built-from');
  const sources = sourceFiles();
  const hash = hashOf([...sources, 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  say('building dist/ …');
  rmSync(stamp, { force: true });
  removeOrphans(sources);
  for (const file of sources.filter((name) => name.endsWith('.lua'))) copyToDist(file);
  run(join('node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.build.json']);
  const bundler = join('dist', 'workers', 'build-workflow-bundle.js');
  if (existsSync(join(packageDir, bundler))) run(process.execPath, [bundler]);
  writeFileSync(stamp, hash);
}

/** Paths of all files below src, from the package's folder. */
function sourceFiles() {
  return readdirSync(join(packageDir, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(packageDir.length))
    .sort();
}

/** @param {string[]} files */
function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(packageDir, file)))
      .update('\0');
  return hash.digest('hex');
}

/**
 * Removes compiled files whose source is gone; the others stay, because a running process may still load them.
 * @param {string[]} sources
 */
function removeOrphans(sources) {
  const dist = join(packageDir, 'dist');
  if (!existsSync(dist)) return;
  const expected = new Set(sources.map((file) => withoutEnding(file.slice('src/'.length))));
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    // What lies directly in dist was not compiled: the workflow bundle, the stamp.
    if (!entry.isFile() || entry.parentPath === dist) continue;
    const path = join(entry.parentPath, entry.name);
    if (!expected.has(withoutEnding(path.slice(dist.length + 1)))) rmSync(path);
  }
}

/** @param {string} path */
const withoutEnding = (path) => path.replace(/(\.d)?\.(m?[jt]s|lua)(\.map)?$/, '');

/** @param {string} file  below src */
function copyToDist(file) {
  const target = join(packageDir, 'dist', file.slice('src/'.length));
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(join(packageDir, file), target);
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: packageDir, stdio: ['ignore', 2, 2] });
  if (error) throw plainError(`${command} cannot be run: ${error.message}`);
  if (status !== 0) throw plainError(`${[command, ...args].join(' ')} failed; its messages are above.`);
}

/** @param {string} file */
const readJson = (file) => JSON.parse(readFileSync(join(packageDir, file), 'utf8'));

/** @param {string} text */
const say = (text) => process.stderr.write(`penstock: ${text}\n`);
