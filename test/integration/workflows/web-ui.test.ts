/** What operators see of a run in the Temporal Web UI, as the server answers it there. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { callLastsMs } from '../../../src/copy/attempt-limits.ts';
import { searchKeys } from '../../../src/workflows/search-attributes.ts';
import type { RunToStart } from '../../../src/ports/run-starter.ts';
import {
  detailsOf,
  handleOf,
  oneBatch,
  openRunEngine,
  plannedRun,
  publicUrl,
  scriptedActivities,
  startRun,
  type RunEngine,
} from '../../support/run-engine.ts';
import { waitUntil } from '../../support/wait-until.ts';

let engine: RunEngine;
beforeAll(async () => {
  engine = await openRunEngine();
});
afterAll(() => engine.close());

const start = (run: RunToStart) => startRun(engine, run);

describe('a run', () => {
  test('can be searched for by typed attributes that follow its state', async () => {
    await engine.startWorkers(scriptedActivities().activities);
    const run = plannedRun();
    await (await start(run)).result();
    const { typedSearchAttributes: found } = await handleOf(engine, run).describe();
    expect(found.get(searchKeys.tenant)).toBe('acme');
    expect(found.get(searchKeys.sync)).toBe('subscribers');
    expect(found.get(searchKeys.source)).toBe('acme-warehouse');
    expect(found.get(searchKeys.mode)).toBe('append');
    expect(found.get(searchKeys.trigger)).toBe('manual');
    expect(found.get(searchKeys.runState)).toBe('succeeded');
    expect(found.get(searchKeys.rows)).toBe(1_000);
    expect(found.get(searchKeys.dueAt)?.getTime()).toBe(run.dueAtMs);
  });

  test('tells the Web UI what it is, where it stands, and what each activity does', async () => {
    const lastBatchAt = '2026-11-22T21:50:55.123Z';
    let publish = () => {};
    const published = new Promise<void>((resolve) => (publish = resolve));
    const { activities } = scriptedActivities({
      copyPartition: async () => oneBatch({ lastBatchAt }),
      finishRun: async () => {
        await published;
        return { outcome: 'succeeded', rows: 1_000, batches: 1, bytes: 10_000 };
      },
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await start(run);
    const link = `[acme/subscribers](${publicUrl}/v1/runs/${run.runId})`;
    await waitUntil('it publishes', async () => (await detailsOf(handle)).includes('finishing'));
    expect(await detailsOf(handle)).toMatch(/1 +finished +1,000 +1 +1 +11-22 21:50\n/);
    publish();
    await handle.result();
    const described = await handle.describe();
    expect(await described.staticSummary()).toBe('acme/subscribers · append · manual');
    expect(await described.staticDetails()).toContain('tenant **acme**');
    expect(await detailsOf(handle)).toContain(`**${link}** · **succeeded** · 1,000 rows`);
    const { events } = await handle.fetchHistory();
    const summaries = events!.flatMap((event) =>
      event.activityTaskScheduledEventAttributes || event.markerRecordedEventAttributes
        ? [Buffer.from(event.userMetadata?.summary?.data ?? '').toString()]
        : [],
    );
    // One that took too long as a local activity is there twice.
    expect(new Set(summaries).size).toBe(3);
    for (const summary of summaries) {
      expect(summary.length).toBeGreaterThan(5);
      expect(summary.length).toBeLessThan(60);
    }
  });

  test('of one partition has fewer than 60 events however large it is: six calls last eight days', async () => {
    const turns: (number | undefined)[] = [];
    const { activities } = scriptedActivities({
      copyPartition: async ({ turn }) => {
        turns.push(turn);
        return oneBatch({ outcome: turns.length < 6 ? 'yielded' : 'finished' });
      },
    });
    await engine.startWorkers(activities);
    const handle = await start(plannedRun());
    await handle.result();
    const { events } = await handle.fetchHistory();
    expect(events!.length).toBeLessThan(60);
    expect(turns).toEqual([1, 2, 3, 4, 5, 6]);
    const lastsMs = turns.reduce<number>((sum, turn) => sum + callLastsMs(turn!), 0);
    expect(lastsMs).toBeGreaterThan(8 * 86_400_000);
  });
});
