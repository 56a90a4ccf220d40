/** A logger that keeps its lines, so that a test can look at them. */
import { createLogger, type Logger } from '../../src/telemetry/logger.ts';

export function createKeptLogger(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const logger = createLogger({
    level: 'trace',
    name: 'test',
    destination: { write: (line) => void lines.push(line) },
  });
  return { logger, lines };
}
