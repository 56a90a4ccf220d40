/** Invariant 10: the rows have the last word on a run that holds a place, whatever the index or a slow dispatcher believes. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import { changeRuns } from '../../../src/storage/run-status.ts';
import { asEngine } from '../../../src/storage/transaction.ts';
import {
  createSchedulerRoom,
  everyHour,
  fetchNowMs,
  plantSyncs,
  type PlantedSyncs,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';

let room: SchedulerRoom;
beforeAll(async () => {
  room = await createSchedulerRoom();
});
afterEach(() => room.clear());
afterAll(() => room.close());

interface Case {
  readonly planted: PlantedSyncs;
  readonly runId: RunId;
}

/** A run that may start, unless something happens to it. */
async function queueOne(): Promise<Case> {
  const now = await fetchNowMs(room.pool);
  const planted = await plantSyncs(room.pool, { schedule: everyHour(now), sinceMs: now - 3_600_000 });
  const { settled } = await room.store.settle(planted.syncIds);
  return { planted, runId: settled[0]!.offered[0]!.runId };
}
const set = (what: string) => (it: Case) =>
  room.pool.query(`update penstock.run set ${what} where id = $1`, [it.runId]);
const pause = (tenantId: string | null, syncId: string | null) =>
  room.pool.query('insert into penstock.pause (id, tenant_id, sync_id) values ($1, $2, $3)', [
    newId('pause'),
    tenantId,
    syncId,
  ]);
const change = (name: 'drop' | 'start' | 'prepare') => (it: Case) =>
  asEngine(room.pool, (tx) => changeRuns(tx, [it.runId], name));

const happenings: Record<string, readonly [(it: Case) => Promise<unknown>, Record<string, unknown>]> = {
  'nothing happened to': [async () => {}, { verdict: 'start', status: 'starting' }],
  'was cancelled': [change('drop'), { verdict: 'gone', status: 'cancelled' }],
  'somebody else starts': [change('start'), { verdict: 'start', status: 'starting' }],
  'is at work': [
    async (it) => {
      await change('start')(it);
      await change('prepare')(it);
    },
    { verdict: 'at_work', status: 'running' },
  ],
  'is not due': [
    set(`due_at = clock_timestamp() + interval '1 h'`),
    { verdict: 'wait', reason: 'not_due', status: 'queued' },
  ],
  'is too late': [
    set(`start_before = clock_timestamp() - interval '1 s'`),
    { verdict: 'gone', status: 'cancelled' },
  ],
  'is paused with its sync': [
    ({ planted }) => pause(planted.tenantId, planted.syncIds[0]!),
    { verdict: 'wait', reason: 'sync_paused', status: 'queued' },
  ],
  'is paused with its tenant': [
    ({ planted }) => pause(planted.tenantId, null),
    { verdict: 'wait', reason: 'tenant_paused', status: 'queued' },
  ],
  'is paused with all': [
    () => pause(null, null),
    { verdict: 'wait', reason: 'all_paused', status: 'queued' },
  ],
  'is behind another of its sync': [
    ({ runId }) =>
      room.pool.query(
        `insert into penstock.run (id, tenant_id, sync_id, sync_version, source_connection_id, origin, request_key, priority,
           due_at, queued_at, workflow_id, status)
         select $2, tenant_id, sync_id, sync_version, source_connection_id, 'manual', 'other', priority, due_at, queued_at,
           replace(workflow_id, id, $2), 'running' from penstock.run where id = $1`,
        [runId, newId('run')],
      ),
    { verdict: 'wait', reason: 'previous_run', status: 'queued' },
  ],
  'is of a worker class that nobody serves': [
    ({ planted }) =>
      room.pool.query(`update penstock.connection set worker_class = 'idle' where id = $1`, [
        planted.connectionId,
      ]),
    { verdict: 'wait', reason: 'no_worker', status: 'queued' },
  ],
  'is of a worker class that is served': [
    ({ planted }) =>
      room.pool.query(`update penstock.connection set worker_class = 'busy' where id = $1`, [
        planted.connectionId,
      ]),
    { verdict: 'start', status: 'starting' },
  ],
  'lost its sync': [
    ({ planted }) =>
      room.pool.query(`update penstock.sync set status = 'deleted', next_nominal_at = null, next_due_at = null
        where id = '${planted.syncIds[0]}'`),
    { verdict: 'gone', status: 'cancelled' },
  ],
};

describe('a run that holds a place, and', () => {
  test.each(Object.entries(happenings))('%s', async (_, [happen, { status, ...verdict }]) => {
    const it = await queueOne();
    await happen(it);
    expect(await room.store.startRuns([it.runId], ['busy'])).toMatchObject([{ runId: it.runId, ...verdict }]);
    const { rows } = await room.pool.query('select status from penstock.run where id = $1', [it.runId]);
    expect(rows).toEqual([{ status }]);
  });
});
