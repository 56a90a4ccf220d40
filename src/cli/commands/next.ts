/** `penstock next`: the next fire times of a schedule, found by the function that the dispatcher asks. No servers. */
import { parseSchedule } from '../../domain/check-schedule.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { Schedule } from '../../domain/schedule-spec.ts';
import { nextTimes } from '../../domain/schedule.ts';
import { showClock } from '../../domain/time-zone.ts';
import type { Command, CommandInput } from '../command.ts';
import { integerOf, textOf } from '../connect-client.ts';
import { readJson } from '../read-json.ts';
import { print, printJson, tableOf } from '../show.ts';

export const command: Command = {
  options: [
    { flag: '--cron <expression>', doc: 'five fields, such as "*/15 9-17 * * MON-FRI"' },
    { flag: '--timezone <zone>', doc: 'whose clock the expression means, such as Europe/Berlin; UTC' },
    { flag: '--seconds', doc: 'the expression has six fields, seconds first' },
    { flag: '--every <duration>', doc: 'an interval, such as 90m, counted from the Unix epoch' },
    { flag: '--spec <file>', doc: 'JSON of a sync spec or of a schedule; - is standard input' },
    { flag: '--from <time>', doc: 'times after this one, such as 2030-01-31T06:00:00Z; now' },
    { flag: '--count <n>', doc: 'how many, 1 to 1000', default: '5' },
  ],
  run: (input) => {
    const schedule = scheduleOf(input);
    const count = integerOf('--count', input.options['count'], { least: 1, most: 1_000 })!;
    const times = nextTimes(schedule, fromOf(input), count);
    const after = 'after' in schedule ? schedule.after : null;
    if (input.json) printJson({ items: times.map((ms) => new Date(ms).toISOString()), after });
    else if (after) print(`after sync ${after.sync}, when a run of it has ${after.when}`);
    else print(times.length === 0 ? 'no time is left' : tableOf(times.map((ms) => rowOf(schedule, ms))));
    return Promise.resolve();
  },
};

function scheduleOf({ options }: CommandInput): Schedule {
  const { cron, every, spec, timezone, seconds } = options;
  if ([cron, every, spec].filter((one) => one !== undefined).length !== 1)
    throw new PenstockError('CONFIG', 'next needs one of --cron, --every and --spec');
  if (cron === undefined && (timezone !== undefined || seconds !== undefined))
    throw new PenstockError('CONFIG', '--timezone and --seconds go with --cron');
  if (spec !== undefined) return scheduleIn(readJson('--spec', String(spec)));
  return parseSchedule(cron === undefined ? { every } : { cron, timezone, seconds });
}

/** Of a sync spec its member, else what is there. */
function scheduleIn(spec: unknown): Schedule {
  const isSync = typeof spec === 'object' && spec !== null && 'schedule' in spec;
  return parseSchedule(isSync ? spec.schedule : spec);
}

function fromOf({ options }: CommandInput): number {
  const text = textOf(options['from']);
  if (text === undefined) return Date.now();
  const ms = /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw new PenstockError(
      'CONFIG',
      `--from must be a time with its offset, such as 2030-01-31T06:00:00Z, not "${text}"`,
    );
  return ms;
}

const rowOf = (schedule: Schedule, ms: number) => ({
  utc: showClock('UTC', ms),
  ...('timezone' in schedule && schedule.timezone !== undefined
    ? { [schedule.timezone]: showClock(schedule.timezone, ms) }
    : {}),
});
