/**
 * The byte budget for rows on their way, shared by every partition of a worker process. Buffers of the usual size are
 * used again and again, so that the process does not grow with the number of rows.
 */
import { heldRowsMiB } from '../domain/sync-spec.ts';
import type { RowMemory } from '../ports/source.ts';

/** What a process may hold at once. */
const rowMemoryBytes = heldRowsMiB * 1024 * 1024;

/** Size of the usual buffer: big enough that a write costs nothing per row. */
export const sliceBytes = 256 * 1024;

/** The largest row that is carried; it fits the budget with room to work in. */
export const maxRowBytes = 48 * 1024 * 1024;

export function createRowMemory(limitBytes: number = rowMemoryBytes): RowMemory {
  /** Given back, to be used again; what is out and what is idle stay within the limit together. */
  const idle: Buffer[] = [];
  const waiting: (() => void)[] = [];
  let usedBytes = 0;
  let idleBytes = 0;

  const reuse = (bytes: number): Buffer | undefined => {
    const fits = idle.findLastIndex((buffer) => buffer.length >= bytes && buffer.length <= 2 * bytes);
    const [buffer] = fits < 0 ? [] : idle.splice(fits, 1);
    idleBytes -= buffer?.length ?? 0;
    return buffer;
  };

  const allocate = (bytes: number): Buffer => {
    while (idle.length > 0 && usedBytes + idleBytes + bytes > limitBytes) idleBytes -= idle.shift()!.length;
    return Buffer.allocUnsafeSlow(bytes);
  };

  return {
    take: (minBytes) => {
      const bytes = Math.ceil(minBytes / sliceBytes) * sliceBytes;
      // A row that is larger than the whole budget comes alone.
      if (usedBytes > 0 && usedBytes + bytes > limitBytes) return null;
      const buffer = reuse(bytes) ?? allocate(bytes);
      usedBytes += buffer.length;
      return buffer;
    },
    give: (buffer) => {
      usedBytes -= buffer.length;
      idleBytes += buffer.length;
      idle.push(buffer);
      for (const wake of waiting.splice(0)) wake();
    },
    freed: () => new Promise((resolve) => waiting.push(resolve)),
  };
}
