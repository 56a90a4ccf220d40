/** The driver between a source and a writer, both in memory: when it yields, what it throws, what it leaves open. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { copyPartition, type CopyProgress, type CopyRequest } from '../../../src/copy/copy-partition.ts';
import { ReadPace } from '../../../src/copy/read-pace.ts';
import { PenstockError, type ErrorCode } from '../../../src/domain/errors.ts';
import { newId } from '../../../src/domain/ids.ts';
import type { Destination, LoadPlan, OpenLoad } from '../../../src/ports/destination.ts';
import type { BatchEnd, PartitionWriter } from '../../../src/ports/partition-writer.ts';
import type { Source } from '../../../src/ports/source.ts';
import { createFakeSource } from '../../support/fake-source.ts';

const columns = [{ name: 'id', typeOid: 23, typeName: 'integer' }];
const table = {
  query: 'q',
  columns,
  rows: Array.from({ length: 300 }, (_, i) => [String(i)]),
};

const plan: LoadPlan = {
  syncVersion: 1,
  mode: 'append',
  query: 'q',
  sourceIdentity: 'fake',
  columns,
  format: 'text',
  reader: 'copy',
  key: ['id'],
  uniqueKey: true,
  order: ['id'],
  resumable: true,
  target: { schema: 'public', table: 't' },
  cursor: null,
  movesCursor: false,
};

/** What the writer was told, and at which batch it fails. */
let committed: BatchEnd[];
let calls: string[];
let failAt: { batch: number; code: ErrorCode } | null;
let closed: number;
/** Where each statement of the source began. */
let reads: unknown[];
let source: Source;
beforeEach(() => {
  [committed, calls, failAt, closed, reads] = [[], [], null, 0, []];
  const fake = createFakeSource(table);
  source = {
    ...fake,
    read: async (request) => {
      reads.push(request.after);
      const read = await fake.read(request);
      return {
        ...read,
        close: async () => {
          closed++;
        },
      };
    },
  };
});

const writer = (): PartitionWriter => ({
  bounds: {},
  get checkpoint() {
    const last = committed.at(-1);
    return last ? { batch: committed.length, keyHi: last.keyHi, final: last.final } : null;
  },
  get totals() {
    return { rows: committed.reduce((sum, end) => sum + end.rows, 0), batches: committed.length, bytes: 0 };
  },
  retriesOtherwise: () => false,
  refusalOf: () => null,
  rejectsLeft: 0,
  beginParts: async () => {},
  writePart: async () => null,
  stopFor: () => Promise.reject(new PenstockError('VALUE_REFUSED', 'planted')),
  begin: async () => {
    calls.push('begin');
    if (failAt && committed.length + 1 === failAt.batch) throw new PenstockError(failAt.code, 'planted');
  },
  write: async () => void calls.push('write'),
  commit: async (end) => {
    calls.push('commit');
    committed.push(end);
    return { inserted: end.rows, updated: 0, unchanged: 0, deduplicated: 0, tombstones: 0, deleted: 0 };
  },
  rollback: async () => void calls.push('rollback'),
  close: async () => {
    closed++;
  },
});

const load: OpenLoad = {
  loadId: newId('load'),
  phase: 'planned',
  continued: false,
  plan,
  window: { low: null, high: null },
  partitions: [1],
  lastEpoch: '0',
};

const copy = (over: Partial<CopyRequest> = {}, found: OpenLoad | null = load) => {
  const destination = {
    fetchLoad: async () => found,
    takeLease: async () => writer(),
  } as unknown as Destination;
  return copyPartition(
    { source, destination },
    {
      run: newId('run'),
      load: load.loadId,
      partition: 1,
      epoch: '1',
      limits: { rows: 100, bytes: 1 << 20, timeMs: 5_000 },
      yieldAfterMs: 60_000,
      readAnewAfterMs: 60_000,
      rowTimeoutMs: 1_000,
      signal: new AbortController().signal,
      drain: () => false,
      onProgress: () => {},
      ...over,
    },
  );
};

test('commits full batches, then a final one, and closes both ends', async () => {
  expect(await copy()).toMatchObject({ outcome: 'finished', rows: 300, batches: 4 });
  expect(committed.map(({ rows, keyHi, final }) => [rows, keyHi?.[0], final])).toEqual([
    [100, '99', false],
    [100, '199', false],
    [100, '299', false],
    [0, '299', true],
  ]);
  expect(closed).toBe(2);
});

test('a commit says that it goes on where rows of the next batch are at hand, unless the attempt is to yield', async () => {
  await copy();
  expect(committed.map(({ goesOn }) => goesOn)).toEqual([true, true, undefined, undefined]);
  committed = [];
  await copy({ limits: { rows: 50, bytes: 1 << 20, timeMs: 5_000 }, drain: () => true });
  expect(committed.map(({ rows, goesOn }) => [rows, goesOn])).toEqual([[50, undefined]]);
});

test('a finished partition is not read again', async () => {
  await copy();
  calls = [];
  expect(await copy()).toMatchObject({ outcome: 'finished', rows: 0, batches: 0 });
  expect(calls).toEqual([]);
});

test('a result without rows has one final batch', async () => {
  source = createFakeSource({ ...table, rows: [] });
  expect(await copy()).toMatchObject({ outcome: 'finished', batches: 1 });
  expect(committed).toEqual([{ keyHi: null, rows: 0, bytes: 0, final: true }]);
});

describe('stopping', () => {
  test('a drained attempt yields with what it has committed; the next goes on after it', async () => {
    expect(await copy({ drain: () => committed.length === 2 })).toMatchObject({
      outcome: 'yielded',
      rows: 200,
    });
    expect(await copy()).toMatchObject({ outcome: 'finished', rows: 100 });
  });

  test('an attempt whose time is up yields once it has committed something', async () => {
    expect(await copy({ yieldAfterMs: 0 })).toMatchObject({ outcome: 'yielded', batches: 1 });
  });

  test('a source statement that has had its time gives way to another, and the attempt goes on with its lease', async () => {
    expect(await copy({ readAnewAfterMs: 0 })).toMatchObject({ outcome: 'finished', rows: 300 });
    expect(committed.at(-1)).toMatchObject({ final: true });
    expect(reads).toEqual([null, ['99'], ['199'], ['299']]);
    expect(closed).toBe(reads.length + 1);
  });

  test('an attempt that would have to begin again never yields to let others work', async () => {
    const unresumable = { ...load, plan: { ...plan, resumable: false } };
    const hurried = { yieldAfterMs: 0, readAnewAfterMs: 0 };
    expect(await copy(hurried, unresumable)).toMatchObject({ outcome: 'finished', batches: 4 });
    expect(reads).toHaveLength(1);
  });

  test('a cancelled attempt throws the signal’s reason and commits no more', async () => {
    const cancel = new AbortController();
    const reason = new Error('cancelled');
    const copying = copy({
      signal: cancel.signal,
      onProgress: ({ batches }) => {
        if (batches === 1) cancel.abort(reason);
      },
    });
    await expect(copying).rejects.toBe(reason);
    expect(committed).toHaveLength(1);
    expect(closed).toBe(2);
  });
});

describe('an attempt that waits for its pace', () => {
  /** Its share covers 64 rows and nothing after them. */
  const waiting = (): ReadPace => {
    const pace = new ReadPace();
    let rows = 64;
    pace.take = (amount) => {
      if (amount.rows > rows) return Infinity;
      rows -= amount.rows;
      return 0;
    };
    return pace;
  };

  test('commits what it has, and yields when it is drained', async () => {
    const limits = { rows: 100, bytes: 1 << 20, timeMs: 1 };
    const result = await copy({ pace: waiting(), limits, drain: () => committed.length === 1 });
    expect(result).toMatchObject({ outcome: 'yielded', rows: 64, batches: 1 });
    expect(calls.at(-1)).toBe('commit');
    expect(closed).toBe(2);
    expect(await copy()).toMatchObject({ outcome: 'finished', rows: 236 });
  });

  test('throws the signal’s reason when it is cancelled', async () => {
    const cancel = new AbortController();
    const reason = new Error('cancelled');
    const limits = { rows: 100, bytes: 1 << 20, timeMs: 1 };
    const onProgress = ({ batches }: CopyProgress) => {
      if (batches === 1) cancel.abort(reason);
    };
    await expect(copy({ pace: waiting(), limits, signal: cancel.signal, onProgress })).rejects.toBe(reason);
    expect(committed.map(({ rows }) => rows)).toEqual([64]);
    expect(closed).toBe(2);
  });
});

describe('errors', () => {
  test('without progress the error is thrown', async () => {
    failAt = { batch: 1, code: 'DESTINATION_FULL' };
    await expect(copy()).rejects.toMatchObject({ code: 'DESTINATION_FULL' });
    expect(closed).toBe(2);
  });

  test('after progress the attempt yields and says what stopped it', async () => {
    failAt = { batch: 3, code: 'DESTINATION_FULL' };
    const result = await copy();
    expect(result).toMatchObject({ outcome: 'yielded', rows: 200, error: { code: 'DESTINATION_FULL' } });
  });

  test('what somebody has to mend is thrown also after progress: another attempt would only meet it again', async () => {
    failAt = { batch: 3, code: 'VALUE_REFUSED' };
    await expect(copy()).rejects.toMatchObject({ code: 'VALUE_REFUSED' });
    expect(committed).toHaveLength(2);
  });

  test.each(['FENCED', 'RUN_FINAL'] as const)('%s ends it without a word', async (code) => {
    failAt = { batch: 2, code };
    const result = await copy();
    expect(result).toMatchObject({ outcome: 'fenced', rows: 100 });
    expect(result.error).toBeUndefined();
  });

  test('a load that the destination does not know is lost', async () => {
    expect(await copy({}, null)).toMatchObject({ outcome: 'lost', rows: 0 });
  });
});
