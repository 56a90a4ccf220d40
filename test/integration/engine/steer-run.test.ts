/**
 * What users do to a running run through the API, and operators behind its back in Temporal: afterwards destination,
 * control database, places and API are of one mind.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { GuardedProcess } from '../../../src/dev/guard.ts';
import { expectRunInOrder } from '../../support/expect-run-in-order.ts';
import { resetWorkflow } from '../../support/reset-workflow.ts';
import { gateRow, type RowGate } from '../../support/row-gate.ts';
import { createScheduledRoom, type ScheduledRoom, type ScheduledRun } from '../../support/scheduled-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

const rows = 2_000;
const batchRows = 100;
/** In the middle of the eleventh batch. */
const gatedRow = 1_050;
/** Rows committed before that batch. */
const gatedBatchAt = 1_000;

let room: ScheduledRoom;
let standing: GuardedProcess;
let gate: RowGate;
let run: ScheduledRun;
let syncs = 0;
let name = '';
/** Of the syncs that are made from now on. */
let limits: { maxDuration?: string } = {};

beforeAll(async () => {
  room = await createScheduledRoom();
  await room.source
    .query(`create table numbered as select id, 'user ' || id as label from generate_series(1, ${rows}) id;
    alter table numbered add primary key (id)`);
  standing = await room.startWorker();
});
afterAll(() => room?.close());

/** Each test gets a run that stands in the middle of a batch. */
beforeEach(async () => {
  name = `steered_${++syncs}`;
  gate = await gateRow(room.destination, {
    table: name,
    columns: 'id int primary key, label text',
    id: gatedRow,
  });
  await room.addSync({
    name,
    mode: 'append',
    key: ['id'],
    source: { connection: 'source', query: 'select * from numbered' },
    limits: { batchRows, ...limits },
  });
  run = await room.startRun(name);
  await waitUntil('the copy stands in the middle of a batch', () => gate.reached());
  expect(await room.fetchPlaces()).toContain(run.runId);
});
afterEach(() => gate.close());

const untilToldToStop = (): Promise<void> =>
  waitUntil('the attempt is told to stop', () => room.saysOf(run.runId, 'attempt: told to stop'));

const committed = async (): Promise<number> => {
  const { rows: found } = await room.destination.query<{ n: number }>(
    `select count(*)::int as n from synced.${name}`,
  );
  return found[0]!.n;
};

/** The next run of the sync finishes what this one has left. */
async function expectNextRunFinishes(): Promise<void> {
  const next = await room.startRun(name);
  await expectRunInOrder(room, next, 'succeeded');
  expect(await committed()).toBe(rows);
}

describe('a run that works for longer than it may', () => {
  beforeAll(() => {
    // Long enough to come to the gate, and over before the batch gives up waiting there, after 10 s.
    limits = { maxDuration: '5s' };
  });
  afterAll(() => {
    limits = {};
  });

  test('is cancelled by itself after the batch in hand', async () => {
    await untilToldToStop();
    await gate.open();
    await expectRunInOrder(room, run, 'cancelled');
    expect(await run.fetch()).toMatchObject({ endReason: 'max_duration' });
    expect(await committed()).toBeGreaterThan(gatedRow);
  });
});

describe('a run that is paused', () => {
  test('commits the batch in hand, gives back its place, and another worker goes on when it is resumed', async () => {
    await room.store.runs.pause(room.scope, run.runId);
    expect((await run.fetch()).status).toBe('pausing');
    await untilToldToStop();
    await gate.open();
    await expectRunInOrder(room, run, 'paused');
    const before = await committed();
    expect(before).toBeGreaterThan(gatedRow);
    expect(before).toBeLessThan(rows);
    const former = standing;
    standing = await room.startWorker();
    former.signal('SIGTERM');
    await former.exited;
    await room.store.runs.resume(room.scope, run.runId);
    await expectRunInOrder(room, run, 'succeeded');
    expect(await committed()).toBe(rows);
    const { items } = await room.store.runs.listAttempts(room.scope, run.runId, { limit: 10 });
    expect(new Set(items.map(({ worker }) => worker)).size).toBe(2);
  });

  test('is cancelled, and keeps the count of what it has committed', async () => {
    await room.store.runs.pause(room.scope, run.runId);
    await untilToldToStop();
    await gate.open();
    await expectRunInOrder(room, run, 'paused');
    await room.store.runs.cancel(room.scope, run.runId);
    await expectRunInOrder(room, run, 'cancelled');
    expect((await run.fetch()).progress.rows).toBe(await committed());
    await expectNextRunFinishes();
  });
});

describe('a run that is cancelled', () => {
  test('commits the batch in hand, and the next one goes on there', async () => {
    expect((await room.store.runs.cancel(room.scope, run.runId)).status).toBe('cancelling');
    await untilToldToStop();
    await gate.open();
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    // Not waited for: a workflow ends after the status is there, never before.
    expect((await run.fetch()).status).toBe('cancelled');
    await expectRunInOrder(room, run, 'cancelled');
    expect((await run.fetch()).progress.rows).toBe(await committed());
    await expectNextRunFinishes();
  });

  test('in the Temporal Web UI ends the same', async () => {
    await run.handle.cancel();
    await untilToldToStop();
    await gate.open();
    await expectRunInOrder(room, run, 'cancelled');
    await expectNextRunFinishes();
  });
});

describe('behind our back, a workflow that is', () => {
  test('terminated leaves a failed run, and what it committed to the next one', async () => {
    await run.handle.terminate('by the test');
    await untilToldToStop();
    await expectRunInOrder(room, run, 'failed');
    expect((await run.fetch()).error).toMatchObject({ code: 'WORKFLOW_GONE' });
    expect(await committed()).toBe(gatedBatchAt);
    await gate.open();
    await expectNextRunFinishes();
  });

  test('terminated while it is paused leaves a failed run, too', async () => {
    await room.store.runs.pause(room.scope, run.runId);
    await untilToldToStop();
    await gate.open();
    await expectRunInOrder(room, run, 'paused');
    await run.handle.terminate('by the test');
    await expectRunInOrder(room, run, 'failed');
    await expectNextRunFinishes();
  });

  test('reset in the middle of a batch goes on by itself, and the attempt that it had commits nothing more', async () => {
    await resetWorkflow(room.client, run.workflowId);
    await untilToldToStop();
    await expectTakenOver();
  });

  test('reset after its end changes nothing', async () => {
    await gate.open();
    await expectRunInOrder(room, run, 'succeeded');
    const { receipt } = await run.fetch();
    const again = await resetWorkflow(room.client, run.workflowId);
    await again.result();
    await expectRunInOrder(room, run, 'succeeded');
    expect((await run.fetch()).receipt).toEqual(receipt);
  });
});

describe('behind our back, a copy that is', () => {
  const activity = () => ({
    namespace: room.temporal.namespace,
    execution: { workflowId: run.workflowId },
    type: 'copyPartition',
  });

  const describeRun = async () => (await run.handle.describe()).raw;
  const pausedSteps = async () => (await run.fetch()).pausedSteps;

  /** Others of its partitions go on, for all that a dispatcher can see: it is no silent run. */
  const move = () =>
    room.control.query(
      `update penstock.run set moved_at = clock_timestamp() + interval '1 minute' where id = $1`,
      [run.runId],
    );

  async function pauseCopy(): Promise<void> {
    const named = { identity: 'an operator', reason: 'by the test' };
    await move();
    await room.client.workflowService.pauseActivity({ ...activity(), ...named });
    await untilToldToStop();
    await gate.open();
    await waitUntil('it rests', async () => {
      const { pendingActivities } = await describeRun();
      return pendingActivities?.[0]?.lastFailure?.applicationFailureInfo?.type === 'ActivityPause';
    });
    await waitUntil('the run says so', async () => {
      await move();
      return (await pausedSteps()).length === 1;
    });
  }

  test('paused commits the batch in hand and rests, which the run tells, and goes on when it is unpaused', async () => {
    await pauseCopy();
    expect(await committed()).toBeGreaterThan(gatedRow);
    const { status, pausedSteps: told } = await run.fetch();
    const { activityId } = (await describeRun()).pendingActivities![0]!;
    expect({ status, told }).toEqual({
      status: 'running',
      told: [
        { step: 'copy', activityId, by: 'an operator', reason: 'by the test', since: expect.any(String) },
      ],
    });
    expect(Math.abs(Date.parse(told[0]!.since) - Date.now())).toBeLessThan(60_000);
    expect(await room.fetchPlaces()).toContain(run.runId);
    await room.client.workflowService.unpauseActivity(activity());
    await expectRunInOrder(room, run, 'succeeded');
    expect(await pausedSteps()).toEqual([]);
    expect(await committed()).toBe(rows);
  });

  const countEvents = async () => Number((await describeRun()).workflowExecutionInfo!.historyLength);

  /** Until dispatchers have looked at the run that many times more. */
  async function looks(times: number): Promise<void> {
    const moves = new Set<number>();
    await waitUntil('it is looked at', async () => {
      const { rows: found } = await room.control.query<{ at: number }>(
        'select extract(epoch from moved_at)::float8 as at from penstock.run where id = $1',
        [run.runId],
      );
      moves.add(found[0]!.at);
      return moves.size > times;
    });
  }

  test('paused for long is looked at again and again, which leaves nothing in the history', async () => {
    await pauseCopy();
    const before = await countEvents();
    await looks(3);
    expect(await countEvents()).toBe(before);
    await room.client.workflowService.unpauseActivity(activity());
    await expectRunInOrder(room, run, 'succeeded');
  });

  test('paused goes on when its run is paused and resumed here', async () => {
    await pauseCopy();
    await room.store.runs.pause(room.scope, run.runId);
    await expectRunInOrder(room, run, 'paused');
    expect(await pausedSteps()).toEqual([]);
    await room.store.runs.resume(room.scope, run.runId);
    await expectRunInOrder(room, run, 'succeeded');
    expect(await committed()).toBe(rows);
  });

  test('paused ends when its run is cancelled', async () => {
    await pauseCopy();
    await room.store.runs.cancel(room.scope, run.runId);
    await expectRunInOrder(room, run, 'cancelled');
    expect(await pausedSteps()).toEqual([]);
    await expectNextRunFinishes();
  });

  test('reset begins again after the newest checkpoint, and the attempt before commits nothing more', async () => {
    await room.client.workflowService.resetActivity(activity());
    await untilToldToStop();
    await expectTakenOver();
  });
});

/** The second attempt does what the first had not committed when it stood at the gate. */
async function expectTakenOver(): Promise<void> {
  await waitUntil('a second attempt', async () => (await run.fetch()).attempts === 2);
  await gate.open();
  await expectRunInOrder(room, run, 'succeeded');
  expect(await committed()).toBe(rows);
  const { items } = await room.store.runs.listAttempts(room.scope, run.runId, { limit: 10 });
  expect(items.map(({ outcome, rows: done }) => [outcome, done])).toEqual([
    ['finished', rows - gatedBatchAt],
    ['cancelled', gatedBatchAt],
  ]);
}
