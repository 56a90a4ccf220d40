/**
 * The schedule of a sync spec: what a user writes, as one zod schema. What the shape cannot say (an expression that
 * never fires, a zone that is none) `check-schedule.ts` says.
 */
import { z } from 'zod';
import { durationSchema } from './duration-spec.ts';

/** RFC 3339 with an offset, so that it is an instant. */
const instant = z.iso.datetime({ offset: true });
const dayOrInstant = z.union([instant, z.iso.date()]);

/** `2030-01-31`, which begins at midnight UTC, or `2030-01-31T06:00:00Z`. */
export const isDayOrInstant = (text: string): boolean => dayOrInstant.safeParse(text).success;

const exclude = z.strictObject({
  dates: z
    .array(z.string().max(21))
    .max(400)
    .optional()
    .describe('Days, `2030-12-24`, and stretches with both ends, `2030-12-24/2031-01-06`.'),
  cron: z
    .array(z.string().max(256))
    .max(16)
    .optional()
    .describe('Every minute that one of these names, such as `* * * * SAT,SUN` or `* 0-5 * * *`.'),
});
/** What a schedule leaves out; parsed by `exclusions.ts`. */
export type ExcludeSpec = z.infer<typeof exclude>;

const cronSpec = z.strictObject({
  cron: z.string().min(1).max(256).describe('Five fields, or six with `seconds`.'),
  timezone: z.string().min(1).max(64).default('UTC').describe('An IANA name, such as `Europe/Berlin`.'),
  seconds: z.boolean().optional().describe('The expression has six fields, seconds first.'),
  startAt: instant.optional().describe('No time before it.'),
  endAt: instant.optional().describe('No time after it.'),
  exclude: exclude.optional(),
});
const everySpec = z.strictObject({
  every: durationSchema.describe('Counted from `startAt`, whatever the runs take.'),
  startAt: instant.optional().describe('The first time, and the origin of all others.'),
  endAt: instant.optional().describe('No time after it.'),
  exclude: exclude.optional(),
  timezone: z.string().min(1).max(64).optional().describe('Whose clock `exclude` means; UTC.'),
});
const atSpec = z.strictObject({ at: instant.describe('Once.') });
/** What `anyOf` may hold. */
export const combinableSchema = z.union([cronSpec, everySpec, atSpec]);
const anyOfSpec = z.strictObject({
  anyOf: z
    .array(combinableSchema)
    .min(1)
    .max(20)
    .describe('Several of `cron`, `every` and `at`: due when one of them is, once if several are.'),
});
/** Of the whole schedule, however many specs it has. */
const whole = {
  jitter: durationSchema
    .optional()
    .describe(
      'Each slot starts up to so much later than its time, never at the next one; by hash, always the same.',
    ),
  maxRuns: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .optional()
    .describe('After so many runs it is over; counted anew when the schedule is changed.'),
};
export const upstreamEnds = ['succeeded', 'finished'] as const;
/** It has no fire times of its own. */
const afterSpec = z.strictObject({
  after: z.strictObject({
    sync: z.string().min(1).max(80).describe('Id or name: due whenever a run of that sync ends.'),
    when: z
      .enum(upstreamEnds)
      .default('succeeded')
      .describe('Which ends count: of runs that have succeeded, or of all that were started.'),
  }),
});
const manualSpec = z.strictObject({ manual: z.literal(true).describe('Only when it is triggered.') });

export const scheduleSchema = z.union([
  cronSpec.extend(whole),
  everySpec.extend(whole),
  atSpec,
  anyOfSpec.extend(whole),
  afterSpec,
  manualSpec,
]);
export type Schedule = z.infer<typeof scheduleSchema>;
export type CronSpec = z.infer<typeof cronSpec>;
export type EverySpec = z.infer<typeof everySpec>;
