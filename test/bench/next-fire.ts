/**
 * How fast the next fire time of a cron expression in a zone is found, in one process: asked again from each answer, as
 * the dispatcher does, and for schedules that were never seen before. croner is asked the same.
 *
 *   npm run bench next-fire [-- --calls=100000 --turns=3]
 */
import { Cron } from 'croner';
import { nextDue } from '../../src/domain/schedule.ts';
import type { Findings } from './support/bench-report.ts';
import { numberFlag } from './support/flags.ts';
import { publishResult } from './support/publish-result.ts';
import { medianOf, takeTurns, type Turn } from './support/take-turns.ts';

const calls = numberFlag('calls', 100_000);
const turns = numberFlag('turns', 3);
const chainLength = 100;
const fromMs = Date.UTC(2026, 2, 1);

interface Asked {
  readonly cron: string;
  readonly timezone: string;
}

const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe'];
const shapes = [
  (n: number) => `${n % 60} * * * *`,
  (n: number) => `${n % 60} ${n % 24} * * *`,
  (n: number) => `*/${2 + (n % 28)} ${n % 12}-${12 + (n % 12)} * * 1-5`,
  (n: number) => `${n % 60} ${n % 24} ${1 + (n % 28)} * *`,
];
/** Different from each other, and from those of other turns. */
const scheduleOf = (n: number, turn: number): Asked => ({
  // the caches know a schedule by its text
  cron: shapes[n % shapes.length]!(n).replace(' ', ' '.repeat(1 + ((n + turn) % 150))),
  timezone: zones[n % zones.length]!,
});

const timed = (work: () => void): Promise<Turn> => {
  const startedMs = performance.now();
  work();
  return Promise.resolve({ seconds: (performance.now() - startedMs) / 1_000 });
};

const chained = Array.from({ length: calls / chainLength }, (_, n) => ({
  cron: shapes[n % shapes.length]!(n),
  timezone: zones[n % zones.length]!,
}));

const subjects = [
  {
    name: 'penstock (asked again)',
    run: () =>
      timed(() => {
        for (const schedule of chained)
          for (let n = 0, ms = fromMs; n < chainLength; n++) ms = nextDue(schedule, ms)!;
      }),
  },
  {
    name: 'croner (asked again)',
    run: () =>
      timed(() => {
        for (const { cron, timezone } of chained) {
          const job = new Cron(cron, { timezone });
          for (let n = 0, at = new Date(fromMs); n < chainLength; n++) at = job.nextRun(at)!;
        }
      }),
  },
  {
    name: 'penstock (each new)',
    run: (turn: number) =>
      timed(() => {
        for (let n = 0; n < calls; n++) nextDue(scheduleOf(n, turn), fromMs + n * 1_000);
      }),
  },
  {
    name: 'croner (each new)',
    run: (turn: number) =>
      timed(() => {
        for (let n = 0; n < calls; n++) {
          const { cron, timezone } = scheduleOf(n, turn);
          new Cron(cron, { timezone }).nextRun(new Date(fromMs + n * 1_000));
        }
      }),
  },
];

const measured = await takeTurns(subjects, turns, (line) => void process.stderr.write(`${line}\n`));
const findings: Findings = {
  name: 'next-fire',
  rows: calls,
  rowsAre: 'calls',
  subjects: [...measured].map(([subject, ofSubject]) => {
    const seconds = ofSubject.map((turn) => turn.seconds);
    const callsPerSecond = calls / medianOf(seconds)!;
    return {
      subject,
      runs: turns,
      callsPerSecond,
      seconds,
      rssMiB: null,
      rssIdleMiB: null,
      cpuSeconds: null,
    };
  }),
  bars: [],
};
publishResult(findings, { postgres: 'none', redis: 'none', temporal: 'none' });
