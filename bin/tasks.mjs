// @ts-check
/** The tasks of a checkout, behind the scripts of package.json: test, check, faults and so on. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageDir, plainError } from './set-up.mjs';

/**
 * Each takes the words after its name and resolves to the exit code.
 * @type {Record<string, (args: string[]) => Promise<number>>}
 */
export const tasks = {
  test: (args) => runJest(args),
  check: () => runChecks(),
  faults: (args) => runFaults(args),
  bench: (args) => runBenchmarks(args),
  simulate: (args) => run(process.execPath, [...typescript, 'test/simulation/simulate.ts', ...args]),
  'temporal-screenshots': () => takeScreenshots(),
  build: async () => 0,
};

/** Lets Node run our TypeScript. */
const typescript = ['--import', './test/support/register-ts.mjs'];

const bin = (/** @type {string} */ name) => join('node_modules', '.bin', name);

/**
 * One after the other, beside the tests.
 * @type {Record<string, [command: string, ...args: string[]]>}
 */
const staticChecks = {
  format: [bin('prettier'), '--check', '--log-level', 'warn', '.'],
  lint: [bin('oxlint'), '--type-aware', '--deny-warnings'],
  types: [bin('tsc'), '-p', 'tsconfig.json', '--noEmit'],
  'dead code': [bin('knip'), '--no-progress'],
};

/** Runs all checks, also after one has failed, and prints what each took. */
async function runChecks() {
  const [staticRows, tests] = await Promise.all([
    runStaticChecks(),
    timed('tests', () => runJest(['--selectProjects', 'quick'])),
  ]);
  for (const { name, output } of staticRows) if (output) print(`\n${name}:\n${output.trimEnd()}`);
  print('');
  for (const { name, code, seconds } of [...staticRows, tests])
    print(`${code === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds.toFixed(1).padStart(6)} s`);
  return [...staticRows, tests].every(({ code }) => code === 0) ? 0 : 1;
}

/** What a failed check printed is kept until the tests are through. */
async function runStaticChecks() {
  const rows = [];
  for (const [name, [command, ...args]] of Object.entries(staticChecks)) {
    let output = '';
    const row = await timed(name, () => run(command, args, { hear: (text) => (output += text) }));
    rows.push({ ...row, output: row.code === 0 ? '' : output });
  }
  return rows;
}

/**
 * @param {string} name
 * @param {() => Promise<number>} work  resolves to an exit code
 */
async function timed(name, work) {
  const start = performance.now();
  const code = await work();
  return { name, code, seconds: (performance.now() - start) / 1000 };
}

/**
 * Runs Jest and ends with the line `N passed, N failed`.
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
async function runJest(args, env = {}) {
  const results = join(packageDir, '.penstock', `jest-${process.pid}.json`);
  mkdirSync(join(packageDir, '.penstock'), { recursive: true });
  const jest = join('node_modules', 'jest', 'bin', 'jest.js');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const code = await run(process.execPath, [...flags, jest, '--json', `--outputFile=${results}`, ...args], {
    env,
    isDone: () => existsSync(results),
  });
  if (!existsSync(results)) throw plainError('Jest ended without results; its messages are above.');
  const counts = JSON.parse(readFileSync(results, 'utf8'));
  rmSync(results);
  // A file that cannot even be loaded is a failure too.
  const failed = counts.numFailedTests + counts.numRuntimeErrorTestSuites;
  const skipped = counts.numPendingTests + counts.numTodoTests;
  print(`${counts.numPassedTests} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
  return code === 0 && failed === 0 && counts.numPassedTests > 0 ? 0 : 1;
}

/**
 * Benchmarks are the files directly in test/bench; without names all of them run, one after the other.
 * @param {string[]} args
 */
async function runBenchmarks(args) {
  const folder = join('test', 'bench');
  const known = existsSync(join(packageDir, folder))
    ? readdirSync(join(packageDir, folder)).flatMap((file) => /^(.+)\.ts$/.exec(file)?.[1] ?? [])
    : [];
  const names = args.filter((arg) => !arg.startsWith('-'));
  const flags = args.filter((arg) => arg.startsWith('-'));
  const unknown = names.find((name) => !known.includes(name));
  if (unknown) throw plainError(`There is no benchmark "${unknown}"; there are: ${known.join(', ')}.`);
  for (const name of names.length > 0 ? names : known) {
    const code = await run(process.execPath, [...typescript, join(folder, `${name}.ts`), ...flags]);
    if (code !== 0) return code;
  }
  return 0;
}

const succeeds = (/** @type {string} */ command, /** @type {string[]} */ ...args) =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** What the faults of test/faults/slow need beside what every test needs. */
const faultNeeds = [
  {
    what: 'pgbouncer on PATH or in /usr/sbin (apt-get install pgbouncer)',
    isThere: () => succeeds('pgbouncer', '--version') || succeeds('/usr/sbin/pgbouncer', '--version'),
  },
  {
    what: 'the right to mount a tmpfs: root, or `unshare --map-root-user --mount npm run faults`',
    isThere: () => {
      const folder = mkdtempSync(join(tmpdir(), 'penstock-mount-'));
      const isMounted = succeeds('mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', folder);
      if (isMounted) succeeds('umount', folder);
      rmSync(folder, { recursive: true });
      return isMounted;
    },
  },
];

/**
 * `--seeds N` of every random fault; with `--mode M` only of copies in that mode, which are struck at random; with
 * `--scheduler` only of what may happen to the scheduler.
 * @param {string[]} args
 */
function runFaults(args) {
  const { seeds = '1', mode, scheduler = false } = readFaultFlags(args);
  if (!/^[1-9]\d{0,4}$/.test(seeds))
    throw plainError(`--seeds must be a whole number from 1 to 99999, not "${seeds}".`);
  const lacking = mode === undefined && !scheduler ? faultNeeds.filter(({ isThere }) => !isThere()) : [];
  if (lacking.length > 0)
    throw plainError(
      `this machine lacks for all faults:\n${lacking.map(({ what }) => `  ${what}`).join('\n')}`,
    );
  const env = { PENSTOCK_FAULT_SEEDS: seeds };
  if (scheduler) return runJest(['test/faults/.*scheduler.*'], env);
  return mode === undefined
    ? runJest(['test/faults'], env)
    : runJest(['test/faults/modes.test.ts'], { ...env, PENSTOCK_FAULT_MODE: mode });
}

/** @param {string[]} args */
function readFaultFlags(args) {
  try {
    return parseArgs({
      args,
      options: { seeds: { type: 'string' }, mode: { type: 'string' }, scheduler: { type: 'boolean' } },
    }).values;
  } catch (error) {
    throw plainError(error instanceof Error ? error.message : String(error));
  }
}

/** Pictures of our runs in the Temporal Web UI, each taken once its page shows what it should. */
function takeScreenshots() {
  const { PENSTOCK_CHROMIUM: given } = process.env;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const files = given ? [given] : folders.flatMap((folder) => names.map((name) => join(folder, name)));
  const browser = files.find((file) => existsSync(file));
  if (browser === undefined)
    throw plainError(
      'this machine lacks for screenshots:\n  Chromium on PATH, or its path in PENSTOCK_CHROMIUM (apt-get install chromium)',
    );
  return run(process.execPath, [...typescript, 'test/web-ui/take-screenshots.ts', browser]);
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {object} [options]
 * @param {Record<string, string>} [options.env]  added to ours
 * @param {(text: string) => void} [options.hear]  gets what it prints, instead of the terminal
 * @param {() => boolean} [options.isDone]  says that its work is done: if it does not end by itself then, it fails
 * @returns {Promise<number>}
 */
function run(command, args, { env, hear, isDone } = {}) {
  return new Promise((resolve, reject) => {
    const output = hear ? 'pipe' : 'inherit';
    const child = spawn(command, args, {
      cwd: packageDir,
      stdio: ['ignore', output, output],
      env: { ...process.env, ...env },
    });
    const watch = isDone && endIfHeld(child, isDone);
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => hear?.(String(chunk)));
    child.once('error', reject);
    child.once('close', (code) => {
      clearInterval(watch);
      resolve(code ?? 1);
    });
  });
}

/** Looks this often whether a child is done, and gives it as long twice to end by itself. */
const lookMs = 5_000;

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {() => boolean} isDone
 */
function endIfHeld(child, isDone) {
  let looks = 0;
  return setInterval(() => {
    if (!isDone() || ++looks < 3) return;
    print(
      'Something that a test opened is still open, and keeps Jest from ending: it is ended, and this is a failure.',
    );
    child.kill();
  }, lookMs);
}

/** @param {string} line */
const print = (line) => process.stdout.write(`${line}\n`);
