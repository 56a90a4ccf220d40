import { describe, expect, test } from '@jest/globals';
import { describeProgress, type RunProgress } from '../../../src/workflows/run-progress.ts';

const progress: RunProgress = {
  phase: 'copying',
  rows: 1_234_567,
  batches: 25,
  bytes: 98_765_432,
  partitions: [
    {
      partition: 1,
      state: 'finished',
      rows: 1_234_000,
      batches: 24,
      bytes: 98_000_000,
      calls: 1,
      lastBatchAt: '2026-11-22T21:50:55.123Z',
    },
    { partition: 2, state: 'copying', rows: 567, batches: 1, bytes: 765_432, calls: 12 },
  ],
};

describe('the details in the Web UI', () => {
  test('show a table that can be read without borders', () => {
    expect(describeProgress('acme/subscribers', progress)).toBe(
      [
        '**acme/subscribers** · **copying** · 1,234,567 rows · 25 batches · 98.8 MB',
        [
          '```',
          'part  state          rows  batches  calls   last batch',
          '   1  finished  1,234,000       24      1  11-22 21:50',
          '   2  copying         567        1     12            –',
          '```',
        ].join('\n'),
        'Of calls that have ended, times in UTC. Live numbers: heartbeat details of the pending activities.',
      ].join('\n\n'),
    );
  });

  test('tell how fast it goes, and by the partitions that are finished how long it takes yet', () => {
    const partitions = [1, 2, 3, 4].map((partition) => ({
      ...progress.partitions[0]!,
      partition,
      state: partition === 1 ? ('finished' as const) : ('copying' as const),
    }));
    const head = (more: Partial<RunProgress>): string | undefined =>
      describeProgress('acme/subscribers', { ...progress, partitions, ...more }).split('\n')[0];
    expect(head({ workedMs: 100_000 })).toMatch(/ · 12,346 rows\/s · 1 of 4 partitions · about 5 min left$/);
    expect(head({ workedMs: 100_000, phase: 'paused' })).toMatch(/ · 12,346 rows\/s$/);
    expect(head({ workedMs: 100_000, partitions: partitions.slice(1) })).toMatch(/ · 12,346 rows\/s$/);
    expect(head({ workedMs: 10 })).toMatch(/ · 98.8 MB$/);
  });

  test('name what fails, and when it is tried again', () => {
    const failure = {
      code: 'SOURCE_UNREACHABLE',
      message: 'refused',
      times: 3,
      retryAt: '2026-01-01T00:00:00.000Z',
    } as const;
    expect(describeProgress('acme/subscribers', { ...progress, failure })).toContain(
      '`SOURCE_UNREACHABLE` refused — failed 3 × in a row, next try at 2026-01-01T00:00:00.000Z',
    );
  });

  test('stay short for a thousand partitions', () => {
    const partitions = Array.from({ length: 1_000 }, (_, n) => ({
      ...progress.partitions[0]!,
      partition: n + 1,
    }));
    const text = describeProgress('acme/subscribers', { ...progress, partitions });
    expect(text).toContain('… and 980 more');
    expect(text.length).toBeLessThan(2_000);
    const [, table] = text.split('```');
    for (const line of table!.split('\n')) expect(line.length).toBeLessThanOrEqual(58);
  });

  test('show what is at work, wherever it stands among many partitions', () => {
    const partitions = Array.from({ length: 100 }, (_, n) => ({
      ...progress.partitions[0]!,
      partition: n + 1,
      state: n === 70 ? ('copying' as const) : ('finished' as const),
    }));
    const [, table] = describeProgress('acme/subscribers', { ...progress, partitions }).split('```');
    expect(table!.split('\n')[2]).toMatch(/^ +71 +copying/);
  });
});
