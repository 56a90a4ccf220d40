/** What the demo says at its end; programs read the JSON line. */
import { describe, expect, test } from '@jest/globals';
import type { RunAnswer } from '../../src/client/index.ts';
import { describeReceipts, outcomeJson } from '../../src/dev/demo/describe-outcome.ts';

const receipt = {
  read: 1_005_000,
  inserted: 1_000_000,
  updated: 5_000,
  unchanged: 0,
  deduplicated: 0,
  tombstones: 0,
  rejected: 0,
  deleted: 0,
  batches: 21,
  bytes: 9,
};

const run: RunAnswer = {
  id: 'run_1',
  tenantId: 'ten_1',
  syncId: 'syn_1',
  syncVersion: 1,
  waitingReason: null,
  endReason: null,
  priority: 3,
  backfillId: null,
  nominalAt: null,
  dueAt: '2026-01-01T00:00:00.000Z',
  syncName: 'subscribers',
  workflowId: 'acme:subscribers:run_1',
  status: 'succeeded',
  origin: 'schedule',
  queuedAt: '2026-01-01T00:00:00.000Z',
  startedAt: '2026-01-01T00:00:01.000Z',
  endedAt: '2026-01-01T00:00:05.250Z',
  attempts: 2,
  progress: { rows: 1_005_000, bytes: 9, batches: 21 },
  receipt,
  error: null,
  retry: null,
  pausedSteps: [],
  links: { self: '', sync: '' },
};

describe('the outcome of the demo', () => {
  test('is one line of JSON with exactly the members that programs were told of', () => {
    const failed = { ...run, id: 'run_2', status: 'failed' as const, startedAt: null, receipt: null };
    const line = outcomeJson({ ok: false, equal: true, runs: [run, failed] });
    expect(line).not.toContain('\n');
    expect(JSON.parse(line)).toEqual({
      ok: false,
      equal: true,
      runs: [
        {
          sync: 'subscribers',
          runId: 'run_1',
          workflowId: 'acme:subscribers:run_1',
          status: 'succeeded',
          origin: 'schedule',
          rows: 1_005_000,
          seconds: 4.25,
          attempts: 2,
        },
        expect.objectContaining({ runId: 'run_2', status: 'failed', rows: 1_005_000, seconds: null }),
      ],
    });
  });

  test('shows the receipts, and counts the runs that had nothing to do', () => {
    const idle = { ...run, receipt: { ...receipt, read: 0, inserted: 0, updated: 0 } };
    const text = describeReceipts({ ok: true, equal: true, runs: [run, idle, idle] });
    expect(text).toMatch(/subscribers +schedule +succeeded +1,005,000 +1,000,000 +5,000 +0 +21 +4\.3 +2/);
    expect(text).toContain('and 2 scheduled run(s) of subscribers that found nothing new');
  });
});
