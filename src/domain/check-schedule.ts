/**
 * Refuses schedules that mean something else than they seem to, never fire, or fit no clock, with a pointer to the
 * member and what to write instead. `parseSchedule` is for what a user sent, `checkSchedule` for what has the shape.
 */
import { parseCron } from './cron.ts';
import { parseDurationMs } from './duration-spec.ts';
import { hasCode, PenstockError } from './errors.ts';
import { parseExclusions } from './exclusions.ts';
import {
  combinableSchema,
  type CronSpec,
  type EverySpec,
  type Schedule,
  scheduleSchema,
} from './schedule-spec.ts';
import { firstInstantMs, lastInstantMs, nextDue } from './schedule.ts';
import { checkZone } from './zone-names.ts';

/** Each kind of schedule, and the members that it may have beside. */
const examples = {
  cron: '{cron: "*/15 * * * *", timezone: "Europe/Berlin"}',
  every: '{every: "15m"}',
  at: '{at: "2030-01-31T06:00:00Z"}',
  anyOf: '{anyOf: [{cron: "0 6 * * *"}, {every: "90m"}]}',
  after: '{after: {sync: "orders"}}',
  manual: '{manual: true}',
};
const bounds =
  'jitter: "5m", maxRuns: 10, startAt: "2030-01-31T06:00:00Z", endAt: …, exclude: {dates: ["2030-12-24"], cron: ["* * * * SAT"]}';
const besides: Partial<Record<keyof typeof examples, string>> = {
  cron: `; it may have timezone, seconds: true, ${bounds}`,
  every: `; it may have ${bounds}, timezone`,
};
type Kind = keyof typeof examples;
const kinds = Object.keys(examples) as Kind[];
const combinable: readonly Kind[] = ['cron', 'every', 'at'];

const minIntervalMs = 1_000;
const maxIntervalMs = 3_650 * 86_400_000;

const maxJitterMs = 86_400_000;

const invalid = (message: string, pointer: string): PenstockError =>
  new PenstockError('SCHEDULE_INVALID', message, { pointer });

/**
 * A schedule from anything: shape, values and zone checked, defaults filled in.
 * @param pointer RFC 6901 pointer to the schedule
 * @throws PenstockError SCHEDULE_INVALID, SCHEDULE_NEVER_FIRES or UNKNOWN_ZONE
 */
export function parseSchedule(input: unknown, pointer = '/schedule'): Schedule {
  const schedule = parseKind(input, { allowed: kinds, schemas: scheduleSchema.options, pointer });
  checkSchedule(schedule, pointer);
  return schedule;
}

/** The kinds of schedules that may be written in a place. */
interface Place {
  readonly allowed: readonly Kind[];
  readonly schemas: readonly (typeof scheduleSchema.options)[number][] | typeof combinableSchema.options;
  readonly pointer: string;
}

function parseKind(input: unknown, { allowed, schemas, pointer }: Place): Schedule {
  const kind = kindOf(input, allowed, pointer);
  const { cron, timezone, seconds, anyOf } = input as Record<string, unknown>;
  if (kind === 'cron' && typeof cron === 'string') parseCron(cron, seconds === true, `${pointer}/cron`);
  if (kind === 'cron' && typeof timezone === 'string') checkZone(timezone, `${pointer}/timezone`);
  if (kind === 'anyOf' && Array.isArray(anyOf))
    for (const [i, spec] of anyOf.entries())
      parseKind(spec, {
        allowed: combinable,
        schemas: combinableSchema.options,
        pointer: `${pointer}/anyOf/${i}`,
      });
  const parsed = schemas.find((option) => kind in option.shape)!.safeParse(input);
  if (!parsed.success) refuseMember(kind, parsed.error.issues[0]!, pointer);
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
  const path = [...issue.path, ...(unknown === undefined ? [] : [unknown])].map(String);
  const escaped = path.map((step) => step.replaceAll('~', '~0').replaceAll('/', '~1'));
  const at = [pointer, ...escaped].join('/');
  const shown = JSON.stringify(path.join('.').slice(0, 60));
  const advice = `write ${examples[kind]}${besides[kind] ?? ''}.`;
  if (unknown !== undefined)
    throw invalid(`A schedule with \`${kind}\` has no member ${shown}; ${advice}`, at);
  throw invalid(`The schedule's ${shown} is not valid (${issue.message}); ${advice}`, at);
}

function kindOf(input: unknown, allowed: readonly Kind[], pointer: string): Kind {
  const instead = `write one of ${allowed.map((kind) => examples[kind]).join(', ')}`;
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw invalid(`The schedule is not an object; ${instead}.`, pointer);
  const given = kinds.filter((kind) => Object.hasOwn(input, kind));
  if (given.length === 1 && allowed.includes(given[0]!)) return given[0]!;
  const found = given.length === 0 ? `none of ${allowed.join(', ')}` : given.join(' and ');
  throw invalid(`The schedule has ${found}; ${instead}.`, pointer);
}

/**
 * Checks a schedule that has the right shape.
 * @param pointer RFC 6901 pointer to the schedule
 * @throws PenstockError SCHEDULE_INVALID, SCHEDULE_NEVER_FIRES or UNKNOWN_ZONE
 */
export function checkSchedule(schedule: Schedule, pointer = '/schedule'): void {
  if ('anyOf' in schedule)
    for (const [i, spec] of schedule.anyOf.entries()) checkSchedule(spec, `${pointer}/anyOf/${i}`);
  if ('cron' in schedule) {
    parseCron(schedule.cron, schedule.seconds ?? false, `${pointer}/cron`);
    checkZone(schedule.timezone, `${pointer}/timezone`);
  }
  if ('every' in schedule) {
    checkInterval(schedule.every, `${pointer}/every`);
    if (schedule.timezone !== undefined) checkZone(schedule.timezone, `${pointer}/timezone`);
    if (schedule.timezone !== undefined && !schedule.exclude)
      throw invalid(
        'An interval knows no zone: `timezone` says whose clock `exclude` means; leave it out, or write {cron: …, timezone: …}.',
        `${pointer}/timezone`,
      );
  }
  if ('jitter' in schedule && schedule.jitter !== undefined)
    checkJitter(schedule.jitter, `${pointer}/jitter`);
  if ('at' in schedule) checkInstant(schedule.at, `${pointer}/at`);
  if ('cron' in schedule || 'every' in schedule) checkBounds(schedule, pointer);
}

function checkInterval(text: string, pointer: string): void {
  const intervalMs = parseDurationMs(text);
  if (intervalMs === undefined || intervalMs < minIntervalMs || intervalMs > maxIntervalMs)
    throw invalid(
      'The interval must be from 1s to 3650d, a whole number with a unit; write it like "45m".',
      pointer,
    );
}

function checkJitter(text: string, pointer: string): void {
  if (parseDurationMs(text)! > maxJitterMs)
    throw invalid('The jitter is 1d at most; write it like "10m".', pointer);
}

function checkInstant(text: string, pointer: string): number {
  const instantMs = Date.parse(text);
  if (!(instantMs >= firstInstantMs && instantMs <= lastInstantMs))
    throw invalid(
      'The time must lie in the years 1970 to 9999; write it like "2030-01-31T06:00:00Z".',
      pointer,
    );
  return instantMs;
}

/** Start, end and exclusions, and that they leave a time. */
function checkBounds(spec: CronSpec | EverySpec, pointer: string): void {
  const { startAt, endAt, exclude } = spec;
  const startMs = startAt === undefined ? firstInstantMs : checkInstant(startAt, `${pointer}/startAt`);
  if (endAt !== undefined && checkInstant(endAt, `${pointer}/endAt`) < startMs)
    throw invalid(
      `endAt is before startAt; write a time from ${startAt} on, or leave endAt out.`,
      `${pointer}/endAt`,
    );
  if (nextDue({ ...spec, exclude: undefined }, firstInstantMs - 1) === null)
    throw new PenstockError(
      'SCHEDULE_NEVER_FIRES',
      'No time of the schedule lies between startAt and endAt; write a later endAt, or leave it out.',
      { pointer: `${pointer}/endAt` },
    );
  if (!exclude) return;
  parseExclusions(exclude, `${pointer}/exclude`);
  if (!leavesATime(spec))
    throw new PenstockError(
      'SCHEDULE_NEVER_FIRES',
      'The exclusions leave no time of the schedule, or next to none; exclude less, or write times of which some remain.',
      { pointer: `${pointer}/exclude` },
    );
}

function leavesATime(spec: CronSpec | EverySpec): boolean {
  try {
    return nextDue(spec, firstInstantMs - 1) !== null;
  } catch (error) {
    if (hasCode(error, 'SCHEDULE_NEVER_FIRES')) return false;
    throw error;
  }
}
