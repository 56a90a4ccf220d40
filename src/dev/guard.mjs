// @ts-check
/**
 * The guard: a small process that starts servers and roles for its parent and stops them when its standard input
 * closes, however the parent died. It leads a session of its own, so that Ctrl-C in a terminal reaches only the
 * parent, which can then drain before it lets go. Plain JavaScript, so that it runs from `src/` and from `dist/`.
 *
 * Input, a line of JSON each: `{start: StartRequest}`, or `{kill: true}` to end everything without grace.
 * Output, a line of JSON each: `{id, pid}`, `{id, error}`, `{id, exit: {code, signal}}`.
 *
 * @typedef {object} StartRequest
 * @property {number} id  chosen by the parent, quoted in every answer
 * @property {string} command
 * @property {string[]} args
 * @property {string} logFile  gets standard output and standard error
 * @property {boolean} [echo]  repeat them on the guard's own standard error
 * @property {NodeJS.Signals} stopSignal  asks for a clean end
 * @property {number} graceMs  after it, SIGKILL
 * @property {number} stage  lower stages are stopped first and waited for
 * @property {number} [uid]
 * @property {number} [gid]
 * @property {Record<string, string>} [env]  instead of the parent's environment
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** @type {Map<number, {child: import('node:child_process').ChildProcess, request: StartRequest, gone: Promise<void>}>} */
const running = new Map();
let stopping = false;

/** @param {object} message */
const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

/** @param {StartRequest} request */
function start(request) {
  const { id, command, args, logFile, echo, uid, gid, env } = request;
  const log = openSync(logFile, 'a');
  const output = echo ? 'pipe' : log;
  const child = spawn(command, args, {
    stdio: ['ignore', output, output],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(env === undefined ? {} : { env }),
  });
  if (echo) repeat(child, log);
  else closeSync(log);
  /** @type {Promise<void>} */
  const gone = new Promise((resolve) => {
    child.once('error', (error) => {
      if (child.pid !== undefined) return;
      running.delete(id);
      answer({ id, error: error.message });
      resolve();
    });
    child.once('exit', (code, signal) => {
      running.delete(id);
      answer({ id, exit: { code, signal } });
      resolve();
    });
  });
  running.set(id, { child, request, gone });
  if (child.pid !== undefined) answer({ id, pid: child.pid });
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {number} log
 */
function repeat(child, log) {
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk) => {
      writeSync(log, chunk);
      process.stderr.write(chunk);
    });
  child.once('close', () => closeSync(log));
}

/** Stops stage after stage, then ends this process. */
async function stopAll() {
  if (stopping) return;
  stopping = true;
  while (running.size > 0) {
    const stage = Math.min(...[...running.values()].map(({ request }) => request.stage));
    const members = [...running.values()].filter(({ request }) => request.stage === stage);
    await Promise.all(members.map(stop));
  }
  process.exit(0);
}

/** @param {{child: import('node:child_process').ChildProcess, request: StartRequest, gone: Promise<void>}} member */
async function stop({ child, request, gone }) {
  child.kill(request.stopSignal);
  // A process that a test has frozen would hear nothing before its grace is over.
  child.kill('SIGCONT');
  const timer = setTimeout(() => child.kill('SIGKILL'), request.graceMs);
  await gone;
  clearTimeout(timer);
}

function killAll() {
  for (const { child } of running.values()) child.kill('SIGKILL');
}

// Once the parent is gone nobody reads the answers.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void stopAll());

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const message = JSON.parse(line);
  if (message.kill) killAll();
  else if (!stopping) start(message.start);
});
lines.on('close', () => void stopAll());
