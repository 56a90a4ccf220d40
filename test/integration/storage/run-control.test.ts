import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TenantId } from '../../../src/domain/ids.ts';
import { isFinal, runStatuses, type RunStatus } from '../../../src/domain/run-states.ts';
import type { Run, RunControl } from '../../../src/ports/run-control.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import type { Sync } from '../../../src/ports/sync-store.ts';
import { aSpec, createControlFixture, type ControlFixture } from '../../support/control-fixture.ts';
import { aReceipt } from '../../support/plant-run.ts';

let fixture: ControlFixture;
let runs: RunControl;
let acme: Scope & { tenantId: TenantId };
let globex: Scope & { tenantId: TenantId };
let sync: Sync;
beforeAll(async () => {
  fixture = await createControlFixture();
  runs = fixture.store.runs;
  acme = await fixture.addTenant('acme');
  globex = await fixture.addTenant('globex');
  sync = await fixture.store.syncs.create(acme, aSpec({ priority: 4 }));
});
afterAll(() => fixture.drop());
beforeEach(async () => {
  fixture.forget();
  await fixture.pool.query('truncate penstock.run, penstock.slot, penstock.run_attempt');
});

let count = 0;
const trigger = async (scope: Scope = acme): Promise<Run> =>
  (await runs.trigger(scope, sync.id, { requestKey: `${(count += 1)}`, priority: undefined })).run;

/** A run in a status, as another part of the system would have brought it there. */
async function planted(status: RunStatus): Promise<Run> {
  const run = await trigger();
  await fixture.pool.query(
    `update penstock.run set status = $2, ended_at = case when $3 then now() end, receipt = case when $3 then $4::jsonb end
     where id = $1`,
    [run.id, status, isFinal(status), aReceipt()],
  );
  fixture.forget();
  return run;
}

describe('a trigger', () => {
  test('queues a run, due now, with the priority of its sync, and offers it', async () => {
    const run = await trigger();
    expect(run).toMatchObject({
      origin: 'manual',
      status: 'queued',
      priority: 4,
      syncName: 'subscribers',
      syncVersion: 1,
      workflowId: `acme:subscribers:${run.id}`,
      progress: { rows: 0, bytes: 0, batches: 0 },
      attempts: 0,
      receipt: null,
      error: null,
    });
    expect(run.dueAt).toBe(run.queuedAt);
    expect(fixture.heard.offered).toEqual([
      {
        runId: run.id,
        tenantId: acme.tenantId,
        syncId: sync.id,
        connectionId: sync.spec.source.connection,
        score: Date.parse(run.dueAt) + 30 * 60_000,
      },
    ]);
    expect((await runs.listEvents(acme, run.id, { limit: 5 })).items.map(({ kind }) => kind)).toEqual([
      'run.queued',
    ]);
  });

  test('with the same request key gives the same run, however many ask at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => runs.trigger(acme, sync.id, { requestKey: 'once', priority: 1 })),
    );
    expect(new Set(answers.map(({ run }) => run.id)).size).toBe(1);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    expect((await runs.list(acme, {}, { limit: 10 })).items).toHaveLength(1);
  });

  test('is kept though the index is away', async () => {
    fixture.away.value = true;
    const run = await trigger();
    expect((await runs.fetch(acme, run.id)).status).toBe('queued');
  });
});

test('events are listed in the order in which they happened, also where their ids get another digit', async () => {
  await fixture.pool.query(`select setval(pg_get_serial_sequence('penstock.event', 'id'), 998)`);
  const run = await trigger();
  await runs.cancel(acme, run.id);
  const kinds = async (after?: string) =>
    (await runs.listEvents(acme, run.id, { limit: 1, after })).items.map(({ kind }) => kind);
  const { items } = await runs.listEvents(acme, run.id, { limit: 5 });
  expect(items.map(({ kind }) => kind)).toEqual(['run.queued', 'run.cancelled']);
  expect(await kinds(items[0]!.id)).toEqual(['run.cancelled']);
});

describe('steering a run', () => {
  const refused = 'RUN_STATE';
  const table: Record<
    'cancel' | 'pause' | 'resume',
    Record<RunStatus, [RunStatus | typeof refused, string | null]>
  > = {
    cancel: {
      queued: ['cancelled', null],
      starting: ['cancelling', 'cancel'],
      running: ['cancelling', 'cancel'],
      pausing: ['cancelling', 'cancel'],
      paused: ['cancelling', 'cancel'],
      cancelling: ['cancelling', 'cancel'],
      succeeded: [refused, null],
      failed: [refused, null],
      cancelled: ['cancelled', null],
    },
    pause: {
      queued: [refused, null],
      starting: [refused, null],
      running: ['pausing', 'pause'],
      pausing: ['pausing', 'pause'],
      paused: ['paused', null],
      cancelling: [refused, null],
      succeeded: [refused, null],
      failed: [refused, null],
      cancelled: [refused, null],
    },
    resume: {
      queued: [refused, null],
      starting: [refused, null],
      running: ['running', 'resume'],
      pausing: ['running', 'resume'],
      paused: ['paused', null],
      cancelling: [refused, null],
      succeeded: [refused, null],
      failed: [refused, null],
      cancelled: [refused, null],
    },
  };
  const cases = (['cancel', 'pause', 'resume'] as const).flatMap((verb) =>
    runStatuses.map((from) => [verb, from, ...table[verb][from]] as const),
  );

  test.each(cases)('%s of a run that is %s: %s, tells the workflow %s', async (verb, from, outcome, told) => {
    const { id, workflowId } = await planted(from);
    const steering = runs[verb](acme, id);
    if (outcome === refused)
      await expect(steering).rejects.toMatchObject({ code: refused, meta: { status: from } });
    else expect((await steering).status).toBe(outcome);
    expect((await runs.fetch(acme, id)).status).toBe(outcome === refused ? from : outcome);
    expect(fixture.told).toEqual(told === null ? [] : [`${told} ${workflowId}`]);
  });

  test('a queued run that is cancelled leaves the index and says why it ended', async () => {
    const run = await planted('queued');
    expect(await runs.cancel(acme, run.id)).toMatchObject({
      endReason: 'requested',
      endedAt: expect.any(String),
    });
    expect(fixture.heard.released).toEqual([run.id]);
  });

  test('an engine that is away loses no cancel: the row says it, and the sweep repeats it', async () => {
    const run = await planted('running');
    fixture.away.value = true;
    expect((await runs.cancel(acme, run.id)).status).toBe('cancelling');
    expect(fixture.lines.join()).toContain('sent again by the sweep');
  });

  test.each([
    ['pause', 'running'],
    ['resume', 'pausing'],
  ] as const)('an engine that does not hear a %s is an error that may be repeated', async (verb, from) => {
    const { id, workflowId } = await planted(from);
    fixture.away.value = true;
    await expect(runs[verb](acme, id)).rejects.toMatchObject({ code: 'ENGINE_UNREACHABLE' });
    fixture.away.value = false;
    await runs[verb](acme, id);
    expect(fixture.told).toEqual([`${verb} ${workflowId}`]);
  });

  test('a paused run that is resumed is offered: it has no place any more', async () => {
    const run = await planted('paused');
    await runs.resume(acme, run.id);
    expect(await runs.resume(acme, run.id)).toMatchObject({ status: 'paused', waitingReason: 'global_cap' });
    expect(fixture.heard.offered).toMatchObject([{ runId: run.id }, { runId: run.id }]);
  });

  test('another tenant’s run is not there', async () => {
    const run = await planted('running');
    for (const verb of ['fetch', 'cancel', 'pause', 'resume'] as const)
      await expect(runs[verb](globex, run.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(runs.listEvents(globex, run.id, { limit: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await runs.list(globex, {}, { limit: 10 })).items).toEqual([]);
    expect((await runs.list(fixture.operator, {}, { limit: 10 })).items).toHaveLength(1);
  });
});

describe('runs', () => {
  test('list newest first, each once, though some began in the same microsecond', async () => {
    const made = [];
    for (let n = 0; n < 7; n += 1) made.push((await trigger()).id);
    await fixture.pool.query(
      `update penstock.run set queued_at = '2026-01-01T00:00:00.123456Z', due_at = '2026-01-01'`,
    );
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await runs.list(acme, {}, { limit: 3, after });
      seen.push(...page.items.map(({ id }) => id));
      after = page.next ?? undefined;
    } while (after !== undefined);
    expect(seen).toEqual(made.toSorted().toReversed());
  });

  test('list by sync, status and origin', async () => {
    const running = await planted('running');
    const queued = await planted('queued');
    const ids = async (filter: Parameters<RunControl['list']>[1]) =>
      (await runs.list(acme, filter, { limit: 10 })).items.map(({ id }) => id);
    expect(await ids({ status: ['running'] })).toEqual([running.id]);
    expect(await ids({ status: ['running', 'queued'], syncId: sync.id })).toEqual([queued.id, running.id]);
    expect(await ids({ origin: 'schedule' })).toEqual([]);
  });

  test('show the sum of what their attempts committed', async () => {
    const run = await planted('running');
    await fixture.pool.query(
      `insert into penstock.run_attempt (run_id, partition, epoch, tenant_id, worker, rows, bytes, batches)
       values ($1, 1, 1, $2, 'w', 10, 100, 1), ($1, 1, 2, $2, 'w', 5, 50, 1), ($1, 2, 1, $2, 'w', 1, 9, 1)`,
      [run.id, acme.tenantId],
    );
    expect(await runs.fetch(acme, run.id)).toMatchObject({
      progress: { rows: 16, bytes: 159, batches: 3 },
      attempts: 3,
    });
  });

  test('list their attempts page by page, newest first, to their tenant alone', async () => {
    const run = await planted('running');
    await fixture.pool.query(
      `insert into penstock.run_attempt (run_id, partition, epoch, tenant_id, worker, rows, outcome, error_code, error_class, error_message)
       values ($1, 1, 1, $2, 'w', 10, 'failed', 'SOURCE_INTERRUPTED', 'transient', 'The connection was lost.'),
              ($1, 1, 2, $2, 'w', 5, null, null, null, null), ($1, 2, 2, $2, 'w', 1, 'finished', null, null, null)`,
      [run.id, acme.tenantId],
    );
    const seen = [];
    for (let after: string | undefined, isLast = false; !isLast;) {
      const page = await runs.listAttempts(acme, run.id, { limit: 2, ...(after !== undefined && { after }) });
      seen.push(...page.items);
      after = page.next ?? undefined;
      isLast = page.next === null;
    }
    expect(seen).toMatchObject([
      { partition: 2, epoch: '2', outcome: 'finished', rows: 1, error: null },
      { partition: 1, epoch: '2', outcome: null, endedAt: null },
      {
        partition: 1,
        epoch: '1',
        outcome: 'failed',
        error: { code: 'SOURCE_INTERRUPTED', message: 'The connection was lost.' },
      },
    ]);
    await expect(runs.listAttempts(globex, run.id, { limit: 1 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const elsewhere = runs.listAttempts(acme, run.id, { limit: 1, after: '7' });
    await expect(elsewhere).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });
});
