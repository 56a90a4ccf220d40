/** What the control database refused, as errors of our table. */
import { PenstockError } from '../domain/errors.ts';

/** Runs `work`; a violation of the named unique constraint becomes CONFLICT at the pointer. */
export async function refusingDoubles<T>(
  constraint: string,
  refusal: { message: string; pointer: string },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code, constraint: violated } = cause as { code?: unknown; constraint?: unknown };
    if (code !== '23505' || violated !== constraint) throw cause;
    throw new PenstockError('CONFLICT', refusal.message, { pointer: refusal.pointer, cause });
  }
}

/** Refuses a change of a version that is no longer the newest. */
export function checkVersion(what: string, found: number, wanted: number | undefined): void {
  if (wanted === undefined || wanted === found) return;
  throw new PenstockError('VERSION_CONFLICT', `${what} is at version ${found}, not ${wanted}`, {
    meta: { version: found },
  });
}
