/**
 * The byte budget for rows on their way, shared by every partition of a worker process. Buffers of the usual size are
 * used again and again, so that the process does not grow with the number of rows.
 */
import type { RowMemory } from '../ports/source.ts';

/** What a process may hold at once. */
const rowMemoryBytes = 64 * 1024 * 1024;

/** Size of the usual buffer: big enough that a write costs nothing per row. */
export const sliceBytes = 256 * 1024;

/** The largest row that is carried; it fits the budget with room to work in. */
export const maxRowBytes = 48 * 1024 * 1024;

export function createRowMemory(limitBytes: number = rowMemoryBytes): RowMemory {
  const idle: Buffer[] = [];
  const waiting: (() => void)[] = [];
  let usedBytes = 0;
  return {
    take: (minBytes) => {
      const size = Math.max(minBytes, sliceBytes);
      if (usedBytes > 0 && usedBytes + size > limitBytes) return null;
      usedBytes += size;
      return (size === sliceBytes ? idle.pop() : undefined) ?? Buffer.allocUnsafeSlow(size);
    },
    give: (buffer) => {
      usedBytes -= buffer.length;
      if (buffer.length === sliceBytes) idle.push(buffer);
      for (const wake of waiting.splice(0)) wake();
    },
    freed: () => new Promise((resolve) => waiting.push(resolve)),
  };
}
