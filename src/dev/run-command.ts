/** Runs a short command to its end: its output, or an error that says what was run and how it failed. */
import { execFile } from 'node:child_process';

interface CommandOptions {
  cwd?: string;
  timeoutMs?: number;
  uid?: number;
  gid?: number;
  /** Instead of this process's environment. */
  env?: Record<string, string>;
}

/**
 * Runs a program without a shell and resolves to its standard output.
 * @throws Error with the command and the last lines it printed, when it fails, is missing or takes too long
 */
export function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { timeoutMs = 60_000, ...rest } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      { ...rest, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 16 * 1024 ** 2 },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        const printed = lastLines(stderr || stdout, 5);
        const why = error.killed ? `no end within ${timeoutMs / 1000} s` : printed || error.message;
        reject(new Error(`${[file, ...args].join(' ')}: ${why}`, { cause: error }));
      },
    );
    child.stdin?.end();
  });
}

/** The last non-empty lines of a text. */
export function lastLines(text: string, count: number): string {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .join('\n');
}

/** `{ port: 1, quiet: true }` as `['--port', '1', '--quiet']`. */
export function longFlags(flags: Readonly<Record<string, string | number | true>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, String(value)],
  );
}
