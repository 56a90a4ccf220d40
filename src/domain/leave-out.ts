/** Taking a spec apart: to see everything that is wrong with it, what has been found wrong is left out. */
import { syncSpecSchema, type SyncSpec } from './sync-spec.ts';

/**
 * The spec without the member that the pointer names, or else without the member around it; null where it would be no spec
 * any more, or is the same without.
 */
export function leaveOut(spec: SyncSpec, pointer: string | undefined): SyncSpec | null {
  const path = (pointer ?? '').split('/').slice(1);
  for (let length = path.length; length > 0; length--) {
    const { success, data } = syncSpecSchema.safeParse(without(spec, path.slice(0, length)));
    if (success && JSON.stringify(data) !== JSON.stringify(spec)) return data;
  }
  return null;
}

function without(value: unknown, [name, ...rest]: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null || name === undefined) return value;
  if (Array.isArray(value))
    return value.flatMap((item: unknown, i) => {
      if (String(i) !== name) return [item];
      return rest.length === 0 ? [] : [without(item, rest)];
    });
  const entries = Object.entries(value).flatMap(([key, item]) => {
    if (key !== name) return [[key, item]];
    return rest.length === 0 ? [] : [[key, without(item, rest)]];
  });
  return Object.fromEntries(entries) as unknown;
}
