/**
 * Shows what the demo does while it does it: bars on a terminal, plain lines elsewhere (one every two seconds while
 * something moves), so that a log file stays readable.
 */

export interface Progress {
  /** A line that stands for itself. */
  readonly say: (line: string) => void;
  /** Begins a step; one at a time. */
  readonly begin: (label: string) => Step;
}

export interface Step {
  /** How far it is; units are the step's own. */
  readonly move: (done: number, total: number, note?: string) => void;
  /** Ends the step with what came out of it. */
  readonly end: (outcome: string) => void;
}

const barWidth = 24;
const plainEveryMs = 2_000;
/** What a bar has drawn so far goes; it is drawn again when it moves. */
const clearLine = '\r\x1b[2K';

type Output = Pick<NodeJS.WriteStream, 'write' | 'isTTY'> & { readonly columns?: number };

export const showProgress = (output: Output): Progress => ({
  say: (line) => void output.write(output.isTTY ? `${clearLine}${line}\n` : `${line}\n`),
  begin: (label) => (output.isTTY ? beginBar(output, label) : beginLines(output, label)),
});

/** Redraws its line in place; a line that wrapped could not be cleared, so what does not fit is cut. */
function beginBar(output: Output, label: string): Step {
  const startMs = performance.now();
  const draw = (text: string): void =>
    void output.write(`${clearLine}${text.slice(0, (output.columns ?? 80) - 1)}`);
  draw(`  … ${label}`);
  return {
    move: (done, total, note = '') => {
      const filled = Math.round(barWidth * share(done, total));
      draw(`  … ${label} ${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${note}`);
    },
    end: (outcome) => {
      output.write(`${clearLine}  ✓ ${label}: ${outcome}${secondsSince(startMs)}\n`);
    },
  };
}

function beginLines(output: Output, label: string): Step {
  const startMs = performance.now();
  let saidMs = startMs;
  let said = '';
  output.write(`${label} …\n`);
  return {
    move: (done, total, note = '') => {
      const line = `${label}: ${Math.floor(100 * share(done, total))} % ${note}\n`;
      if (line === said || performance.now() - saidMs < plainEveryMs) return;
      saidMs = performance.now();
      said = line;
      output.write(line);
    },
    end: (outcome) => {
      output.write(`${label}: ${outcome}${secondsSince(startMs)}\n`);
    },
  };
}

const share = (done: number, total: number): number =>
  total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;

const secondsSince = (startMs: number): string => ` (${((performance.now() - startMs) / 1000).toFixed(1)} s)`;
