/** Durations as users write them: a whole number with a unit, such as 90s. */
import { z } from 'zod';

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `90s`, `5m`, `24h` … as milliseconds; undefined when the text is no duration. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
  return match ? Number(match[1]) * units[match[2] as keyof typeof units] : undefined;
}

/** A member that holds a duration. */
export const durationSchema = z
  .string()
  .refine((t) => parseDurationMs(t) !== undefined, 'a whole number with a unit, such as 90s, 5m, 24h or 7d');
