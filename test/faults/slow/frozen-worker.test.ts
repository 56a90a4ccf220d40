/** P3: a worker that is frozen in the middle of a batch, for longer than its heartbeat lasts, by processes as built. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RunId } from '../../../src/domain/ids.ts';
import { expectRunInOrder } from '../../support/expect-run-in-order.ts';
import { expectSameRows } from '../../support/expect-same-rows.ts';
import { gateRow, type RowGate } from '../../support/row-gate.ts';
import { createScheduledRoom, type ScheduledRoom } from '../../support/scheduled-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

const rows = 2_000;
const batchRows = 100;
/** In the middle of the eleventh batch, and what is committed before it. */
const gatedRow = 1_050;
const gatedBatchAt = 1_000;
/** Fifteen seconds without a heartbeat; as long again for each poll of the frozen process that the server answers. */
const takenOverWithinMs = 120_000;

let room: ScheduledRoom;
let gate: RowGate | undefined;
beforeAll(async () => {
  room = await createScheduledRoom();
});
afterAll(() => {
  gate?.close();
  return room?.close();
});

test('a worker frozen with a batch open is replaced, and commits nothing when it thaws', async () => {
  await room.source.query(`create table numbered as
    select id, 'user ' || id as label from generate_series(1, ${rows}) id;
    alter table numbered add primary key (id)`);
  const columns = 'id int primary key, label text';
  const gated = await gateRow(room.destination, { table: 'numbered', columns, id: gatedRow });
  await room.addSync({
    name: 'numbered',
    mode: 'append',
    key: ['id'],
    source: { connection: 'source', query: 'select * from numbered' },
    limits: { batchRows },
  });
  gate = gated;
  await room.startWorker('workflows');
  const frozen = await room.startWorker('copy');
  const run = await room.startRun('numbered');
  await waitUntil('the copy stands in the middle of a batch', () => gated.reached());
  frozen.signal('SIGSTOP');
  try {
    await room.startWorker('copy');
    const isTakenOver = async () => (await listAttempts(run.runId)).length > 1;
    await waitUntil('another worker has it', isTakenOver, takenOverWithinMs);
    await waitUntil('which stands at the same row', () => gated.reached());
  } finally {
    frozen.signal('SIGCONT');
  }
  await waitUntil('the thawed attempt has ended', async () => {
    const [first] = await listAttempts(run.runId);
    return first!.endedAt !== null;
  });
  await gated.open();
  await expectRunInOrder(room, run, 'succeeded');
  const attempts = await listAttempts(run.runId);
  const [thawed, ...others] = attempts.map(({ rows: committed }) => committed);
  expect(thawed).toBe(gatedBatchAt);
  expect(others.reduce((sum, committed) => sum + committed, 0)).toBe(rows - gatedBatchAt);
  expect(['cancelled', 'failed', 'fenced']).toContain(attempts[0]!.outcome);
  await expectSameRows(room, 'numbered', rows);
}, 180_000);

/** Oldest first. One that waits at the gate may be ended for that, and followed by another. */
const listAttempts = async (runId: RunId) =>
  (await room.store.runs.listAttempts(room.scope, runId, { limit: 100 })).items.toReversed();
