/** One thing that the doctor looked at. */
export interface Finding {
  readonly subject: 'postgres' | 'redis' | 'temporal' | 'workers';
  /** What was looked at. */
  readonly name: string;
  /** `warning`: it works, and is not as it should be. */
  readonly state: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  /** What to do; absent where nothing is to be done. */
  readonly cure?: string;
}

type Draft = Omit<Finding, 'subject' | 'name' | 'state'>;

/** Makers of findings about one subject. */
export const findingsOf = (subject: Finding['subject']) => ({
  ok: (name: string, detail: string): Finding => ({ subject, name, state: 'ok', detail }),
  warning: (name: string, draft: Draft): Finding => ({ subject, name, state: 'warning', ...draft }),
  failed: (name: string, draft: Draft): Finding => ({ subject, name, state: 'failed', ...draft }),
});

/** An error's words, without its stack; of OpenSSL's the reason alone. */
export const wordsOf = (error: unknown): string => {
  const { message, code, library, reason } = error as Record<
    'message' | 'code' | 'library' | 'reason',
    unknown
  >;
  return String((library === 'SSL routines' && reason) || message || (code ?? error));
};

/** Clocks further apart than this make times in logs and answers confusing; nothing else depends on them. */
const confusingMs = 2_000;

/** What two clocks say of each other, given one of them in the middle of asking. */
export function clockFinding(
  subject: Finding['subject'],
  theirMs: number,
  askedMs: number,
  answeredMs: number,
): Finding {
  const { ok, warning } = findingsOf(subject);
  const offsetMs = Math.round(theirMs - (askedMs + answeredMs) / 2);
  const detail = `${offsetMs} ms from this machine’s`;
  if (Math.abs(offsetMs) <= confusingMs) return ok('clock', detail);
  return warning('clock', {
    detail,
    cure: 'Run a time service (chrony, systemd-timesyncd) on both machines.',
  });
}
