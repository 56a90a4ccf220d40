/** Compares what a sync has written with its source, as `penstock verify` does. */
import { verifyLoad, type VerifyRequest } from '../../src/copy/verify-load.ts';
import type { VerifyReport } from '../../src/domain/verify-report.ts';
import type { PipeRoom, TestSync } from './pipe-room.ts';

/** In small parts and buckets, so that a few thousand rows go the way of a billion. */
const sizes = { partRows: 500, leafRows: 50 };

export const verifySync = (
  { source, destination }: PipeRoom,
  sync: Pick<TestSync, 'id'>,
  options: Partial<VerifyRequest> = {},
): Promise<VerifyReport> =>
  verifyLoad(
    { source, destination },
    { sync: sync.id, maxExamples: 100, signal: new AbortController().signal, sizes, ...options },
  );
