/** Temporal freezes, dies and comes back, on a server of the test's own: nothing is lost, started twice or out of turn. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { startStack, type Stack } from '../../../src/dev/stack.ts';
import { createDependencyChecks } from '../../../src/workers/dependency-checks.ts';
import { examineTemporal } from '../../../src/workers/doctor/examine-temporal.ts';
import { expectRunInOrder } from '../../support/expect-run-in-order.ts';
import { gateRow, type RowGate } from '../../support/row-gate.ts';
import { createScheduledRoom, type ScheduledRoom, type ScheduledRun } from '../../support/scheduled-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

const rows = 500;
/** Those that begin while the server is away, in this order. */
const followers = ['second', 'third', 'fourth'];

let stack: Stack<'temporal'>;
let room: ScheduledRoom;
let gate: RowGate;
let first: ScheduledRun;
let generation = 0;

beforeAll(async () => {
  stack = await startStack({
    dataDir: await mkdtemp(join(tmpdir(), 'penstock-away-')),
    log: () => {},
    servers: ['temporal'],
  });
  // One place for each of the followers in turn, beside the run that is at work.
  room = await createScheduledRoom({ places: 2, temporalAddress: stack.temporal.address });
  await room.source
    .query(`create table numbered as select id, 'user ' || id as label from generate_series(1, ${rows}) id;
    alter table numbered add primary key (id)`);
  await room.startWorker();
});
afterAll(async () => {
  await room?.close();
  await stack?.stop({ discard: true });
});

const nameOf = (one: string): string => `${one}_${generation}`;

/** A run in the middle of a batch, and syncs that wait to be triggered. */
beforeEach(async () => {
  generation += 1;
  gate = await gateRow(room.destination, {
    table: nameOf('first'),
    columns: 'id int primary key, label text',
    id: 250,
  });
  for (const one of ['first', ...followers])
    await room.addSync({
      name: nameOf(one),
      mode: 'append',
      key: ['id'],
      source: { connection: 'source', query: 'select * from numbered' },
      limits: { batchRows: 100 },
    });
  first = await room.startRun(nameOf('first'));
  await waitUntil('the copy stands in the middle of a batch', () => gate.reached());
});
afterEach(() => gate.close());

const checkReadiness = (timeoutMs: number): Promise<string> => {
  const parts = { pool: room.control, checkIndex: async () => {}, temporal: room.client };
  const check = createDependencyChecks(parts).find(({ name }) => name === 'temporal')!;
  return check.check(timeoutMs);
};

/** Triggers the followers; the first of them has a place, and its start no answer. */
async function triggerFollowers(): Promise<ScheduledRun[]> {
  const runs: ScheduledRun[] = [];
  for (const one of followers) runs.push(await room.trigger(nameOf(one)));
  await waitUntil('the next has its place', async () => (await runs[0]!.fetch()).status === 'starting');
  return runs;
}

/** All of them ended well, were admitted in their turn, each once, and had one workflow and one attempt each. */
async function expectInTurn(runs: readonly ScheduledRun[]): Promise<void> {
  for (const run of [first, ...runs]) await expectRunInOrder(room, run, 'succeeded');
  const all = await Promise.all(runs.map((run) => run.fetch()));
  const { rows: admitted } = await room.control.query<{ id: string }>(
    `select run_id as id from penstock.event where kind = 'run.starting' and run_id = any($1) order by event.id`,
    [runs.map(({ runId }) => runId)],
  );
  expect(admitted.map(({ id }) => id)).toEqual(runs.map(({ runId }) => runId));
  expect(all.map(({ attempts }) => attempts)).toEqual(runs.map(() => 1));
  for (const { workflowId } of runs) {
    const query = `WorkflowId = '${workflowId}'`;
    let executions = 0;
    await waitUntil('its workflow is listed', async () => {
      executions = (await room.client.workflow.count(query)).count;
      return executions > 0;
    });
    expect(executions).toBe(1);
  }
}

test('a server that freezes holds up admission, which goes on in its order when it thaws', async () => {
  stack.temporal.signal('SIGSTOP');
  let runs: ScheduledRun[];
  try {
    await expect(checkReadiness(500)).rejects.toMatchObject({ message: 'no answer in time' });
    const findings = examineTemporal(room.temporal);
    runs = await triggerFollowers();
    expect(await findings).toMatchObject([{ name: 'reachable', state: 'failed' }]);
    await gate.open();
    expect((await runs[1]!.fetch()).status).toBe('queued');
  } finally {
    stack.temporal.signal('SIGCONT');
  }
  await expectInTurn(runs);
  expect(await checkReadiness(30_000)).toContain('namespace');
});

test('a server that dies and is started again finds its runs at work, and those that wait begin in their order', async () => {
  await stack.temporal.kill();
  await expect(checkReadiness(30_000)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const runs = await triggerFollowers();
  await gate.open();
  expect((await first.fetch()).status).toBe('running');
  await stack.temporal.start();
  await expectInTurn(runs);
});
