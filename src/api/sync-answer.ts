/** A sync as the API answers it, and specs as it takes them. */
import { parseSchedule } from '../domain/check-schedule.ts';
import { checkSyncSpec } from '../domain/check-sync-spec.ts';
import { nextTimes } from '../domain/schedule.ts';
import type { Schedule } from '../domain/schedule-spec.ts';
import { syncSpecSchema, type SyncSpec } from '../domain/sync-spec.ts';
import type { Sync } from '../ports/sync-store.ts';
import { parseBody } from './validation.ts';

export const answerSync = ({ spec, ...known }: Sync) => ({ ...known, ...spec });

/** What a schedule's next times are asked for with. */
export const answerFireTimes = (schedule: Schedule, fromMs: number, count: number) => ({
  items: nextTimes(schedule, fromMs, count).map((ms) => new Date(ms).toISOString()),
  after: 'after' in schedule ? schedule.after : null,
});

/**
 * Looks at the schedule before the body's schema does: of a union of shapes a schema can only say that none fits, and
 * this says which member is wrong and what to write. A hook before validation.
 */
export async function checkScheduleFirst({ body }: { body: unknown }): Promise<void> {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, 'schedule')) return;
  const { schedule } = body as { schedule: unknown };
  if (schedule !== undefined && schedule !== null) parseSchedule(schedule);
}

/** A spec that has the right shape, checked for what its members need of each other. */
export function checkedSpec(spec: SyncSpec): SyncSpec {
  checkSyncSpec(spec);
  return spec;
}

/** The spec with a JSON merge patch applied and checked. Throws BAD_REQUEST at the member that does not fit. */
export const patchedSpec = (spec: SyncSpec, patch: Record<string, unknown>): SyncSpec =>
  checkedSpec(mergedSpec(spec, patch));

/**
 * The spec with a JSON merge patch (RFC 7396) applied; a schedule is taken as a whole, because `{every}` merged into
 * `{cron}` would be neither. Throws BAD_REQUEST at a member that has not the right shape.
 */
export function mergedSpec(spec: SyncSpec, { schedule, ...patch }: Record<string, unknown>): SyncSpec {
  const merged = mergePatch(spec, patch);
  return parseBody(
    syncSpecSchema,
    schedule === undefined ? merged : { ...merged, schedule: schedule ?? undefined },
  );
}

function mergePatch(target: unknown, patch: Record<string, unknown>): Record<string, unknown> {
  const merged: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch))
    if (value === null) delete merged[name];
    else merged[name] = isObject(value) ? mergePatch(merged[name], value) : value;
  return merged;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
