/**
 * Refuses schedules that mean something else than they seem to, never fire, or fit no clock, with a pointer to the
 * member and what to write instead. `parseSchedule` is for what a user sent, `checkSchedule` for what has the shape.
 */
import { parseCron } from './cron.ts';
import { PenstockError } from './errors.ts';
import { firstInstantMs, lastInstantMs } from './schedule.ts';
import { type Schedule, parseDurationMs, scheduleSchema } from './sync-spec.ts';
import { checkZone } from './zone-names.ts';

/** Each kind of schedule with all its members. */
const examples = {
  cron: '{cron: "*/15 * * * *", timezone: "Europe/Berlin", seconds: false}',
  every: '{every: "15m", startAt: "2030-01-31T06:00:00Z"}',
  at: '{at: "2030-01-31T06:00:00Z"}',
  manual: '{manual: true}',
};
type Kind = keyof typeof examples;
const kinds = Object.keys(examples) as Kind[];

const minIntervalMs = 1_000;
const maxIntervalMs = 3_650 * 86_400_000;

const invalid = (message: string, pointer: string): PenstockError =>
  new PenstockError('SCHEDULE_INVALID', message, { pointer });

/**
 * A schedule from anything: shape, values and zone checked, defaults filled in.
 * @param pointer RFC 6901 pointer to the schedule
 * @throws PenstockError SCHEDULE_INVALID, SCHEDULE_NEVER_FIRES or UNKNOWN_ZONE
 */
export function parseSchedule(input: unknown, pointer = '/schedule'): Schedule {
  const kind = kindOf(input, pointer);
  const { cron, timezone, seconds } = input as Record<string, unknown>;
  if (kind === 'cron' && typeof cron === 'string') parseCron(cron, seconds === true, `${pointer}/cron`);
  if (kind === 'cron' && typeof timezone === 'string') checkZone(timezone, `${pointer}/timezone`);
  const parsed = scheduleSchema.options.find((option) => kind in option.shape)!.safeParse(input);
  if (!parsed.success) refuseMember(kind, parsed.error.issues[0]!, pointer);
  checkSchedule(parsed.data, pointer);
  return parsed.data;
}

/** What zod says about the first member that is wrong. */
interface MemberIssue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** members that the schema does not know */
  readonly keys?: readonly string[];
}

function refuseMember(kind: Kind, issue: MemberIssue, pointer: string): never {
  const unknown = issue.keys?.[0];
  const member = unknown ?? String(issue.path[0]);
  const at = `${pointer}/${member.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  const shown = JSON.stringify(member.slice(0, 60));
  if (unknown !== undefined)
    throw invalid(`A schedule with \`${kind}\` has no member ${shown}; write ${examples[kind]}.`, at);
  throw invalid(`The schedule's ${shown} is not valid (${issue.message}); write ${examples[kind]}.`, at);
}

function kindOf(input: unknown, pointer: string): Kind {
  const instead = `write one of ${Object.values(examples).join(', ')}`;
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw invalid(`The schedule is not an object; ${instead}.`, pointer);
  const given = kinds.filter((kind) => Object.hasOwn(input, kind));
  if (given.length === 1) return given[0]!;
  const found = given.length === 0 ? 'none of cron, every, at, manual' : given.join(' and ');
  throw invalid(`The schedule has ${found}; ${instead}.`, pointer);
}

/**
 * Checks a schedule that has the right shape.
 * @param pointer RFC 6901 pointer to the schedule
 * @throws PenstockError SCHEDULE_INVALID, SCHEDULE_NEVER_FIRES or UNKNOWN_ZONE
 */
export function checkSchedule(schedule: Schedule, pointer = '/schedule'): void {
  if ('cron' in schedule) {
    parseCron(schedule.cron, schedule.seconds ?? false, `${pointer}/cron`);
    checkZone(schedule.timezone, `${pointer}/timezone`);
  }
  if ('every' in schedule) {
    checkInterval(schedule.every, `${pointer}/every`);
    if (schedule.startAt !== undefined) checkInstant(schedule.startAt, `${pointer}/startAt`);
  }
  if ('at' in schedule) checkInstant(schedule.at, `${pointer}/at`);
}

function checkInterval(text: string, pointer: string): void {
  const intervalMs = parseDurationMs(text);
  if (intervalMs === undefined || intervalMs < minIntervalMs || intervalMs > maxIntervalMs)
    throw invalid(
      'The interval must be from 1s to 3650d, a whole number with a unit; write it like "45m".',
      pointer,
    );
}

function checkInstant(text: string, pointer: string): void {
  const instantMs = Date.parse(text);
  if (!(instantMs >= firstInstantMs && instantMs <= lastInstantMs))
    throw invalid(
      'The time must lie in the years 1970 to 9999; write it like "2030-01-31T06:00:00Z".',
      pointer,
    );
}
