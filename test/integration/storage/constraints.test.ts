import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Pool } from 'pg';
import type { RunId } from '../../../src/domain/ids.ts';
import {
  createControlDatabase,
  plantTenant,
  type ControlDatabase,
  type PlantedTenant,
} from '../../support/control-database.ts';
import { plantRun } from '../../support/plant-run.ts';

let database: ControlDatabase;
let pool: Pool;
let acme: PlantedTenant;
let globex: PlantedTenant;
beforeAll(async () => {
  database = await createControlDatabase();
  pool = database.pool;
  acme = await plantTenant(pool, 'acme');
  globex = await plantTenant(pool, 'globex');
});
afterAll(() => database.drop());
beforeEach(() => pool.query('truncate penstock.slot, penstock.run, penstock.run_attempt'));

const insertRun = (columns: Record<string, unknown> = {}): Promise<RunId> =>
  plantRun(pool, acme.syncId, { due_at: '2026-01-01T00:00:00Z', ...columns });

const ended = '2026-01-01T01:00:00Z';
const receipt = (over: Record<string, number> = {}) => ({
  read: 10,
  inserted: 4,
  updated: 3,
  unchanged: 1,
  deduplicated: 1,
  rejected: 1,
  deleted: 5,
  batches: 1,
  bytes: 9,
  ...over,
});

describe('a run', () => {
  test.each([
    ['of a schedule without a nominal time', { origin: 'schedule' }, 'run_of_a_schedule_has_a_nominal_time'],
    ['in a status that does not exist', { status: 'done' }, 'run_status_check'],
    ['waiting for a reason that does not exist', { waiting_reason: 'mood' }, 'run_waiting_reason_check'],
    ['started before it was due', { started_at: '2025-12-31T23:59:59Z' }, 'run_is_never_early'],
    ['final without an end', { status: 'failed' }, 'run_that_is_final_has_ended'],
    ['ended but not final', { ended_at: ended }, 'run_that_is_final_has_ended'],
    [
      'succeeded without a receipt',
      { status: 'succeeded', ended_at: ended },
      'run_that_succeeded_has_a_receipt',
    ],
    ['whose receipt loses a row', { receipt: receipt({ inserted: 3 }) }, 'run_receipt_adds_up'],
    [
      'whose receipt has a tombstone too many',
      { receipt: receipt({ tombstones: 1 }) },
      'run_receipt_adds_up',
    ],
    ['whose receipt lacks a count', { receipt: { read: 0 } }, 'run_receipt_adds_up'],
    ['with a priority of 6', { priority: 6 }, 'run_priority_check'],
    ['with the workflow of another', { workflow_id: 'w' }, 'run_workflow_is_named_after_it'],
    ['of a version that its sync does not have', { sync_version: 2 }, 'run_has_a_version_of_its_sync'],
  ])('%s is refused', async (_, columns, constraint) => {
    await expect(insertRun(columns)).rejects.toMatchObject({ constraint });
  });

  test('of one tenant cannot belong to another tenant’s sync', async () => {
    await expect(insertRun({ tenant_id: globex.tenantId })).rejects.toMatchObject({
      constraint: 'run_is_its_tenants',
    });
  });

  test('with a receipt that adds up may succeed', async () => {
    await insertRun({ status: 'succeeded', ended_at: ended, receipt: receipt() });
  });

  test('past queued is alone in its sync, unless overlap is allowed; any number may be queued', async () => {
    await insertRun({ status: 'starting' });
    for (const status of ['starting', 'running', 'pausing', 'paused', 'cancelling'])
      await expect(insertRun({ status })).rejects.toMatchObject({ constraint: 'run_past_queued_is_alone' });
    await insertRun();
    await insertRun();
    await insertRun({ status: 'running', overlap_allowed: true });
  });

  test('of a nominal time exists once per origin', async () => {
    await insertRun({ origin: 'schedule', nominal_at: ended });
    await expect(insertRun({ origin: 'schedule', nominal_at: ended })).rejects.toMatchObject({
      constraint: 'run_of_a_slot_is_unique',
    });
    await insertRun({ origin: 'after', nominal_at: ended });
  });
});

describe('a slot', () => {
  const insertSlot = (columns: Record<string, unknown>) => {
    const row = {
      sync_id: acme.syncId,
      tenant_id: acme.tenantId,
      sync_version: 1,
      nominal_at: ended,
      nominal_to: ended,
      ...columns,
    };
    const names = Object.keys(row);
    return pool.query(
      `insert into penstock.slot (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')})`,
      Object.values(row),
    );
  };

  test('is recorded once', async () => {
    await insertSlot({ outcome: 'missed' });
    await expect(insertSlot({ outcome: 'coalesced' })).rejects.toMatchObject({ constraint: 'slot_pkey' });
  });

  test('has either a run or an outcome', async () => {
    const runId = await insertRun({ origin: 'schedule', nominal_at: ended });
    for (const columns of [{}, { run_id: runId, outcome: 'missed' }])
      await expect(insertSlot(columns)).rejects.toMatchObject({ constraint: 'slot_has_a_run_or_an_outcome' });
    await insertSlot({ run_id: runId });
  });

  test('with a run stands alone, and a range runs forward', async () => {
    const runId = await insertRun({ origin: 'schedule', nominal_at: ended });
    await expect(insertSlot({ run_id: runId, nominal_to: '2026-01-02T00:00:00Z' })).rejects.toMatchObject({
      constraint: 'slot_with_a_run_stands_alone',
    });
    await expect(insertSlot({ outcome: 'missed', nominal_to: '2025-01-02T00:00:00Z' })).rejects.toMatchObject(
      {
        constraint: 'slot_range_runs_forward',
      },
    );
  });

  test('of one tenant cannot belong to another tenant’s sync', async () => {
    await expect(insertSlot({ outcome: 'missed', tenant_id: globex.tenantId })).rejects.toMatchObject({
      constraint: 'slot_is_its_tenants',
    });
  });
});

describe('a sync', () => {
  const update = (set: string) => pool.query(`update penstock.sync set ${set} where id = $1`, [acme.syncId]);

  test.each([
    ['a nominal time without a due time', 'next_nominal_at = now()', 'sync_next_times_come_together'],
    [
      'a due time before its nominal time',
      `next_nominal_at = now(), next_due_at = now() - interval '1 s'`,
      'sync_is_never_due_before_its_nominal_time',
    ],
    [
      'a next time though it is deleted',
      `status = 'deleted', next_nominal_at = now(), next_due_at = now()`,
      'sync_that_is_not_active_has_no_next',
    ],
    ['a name with a slash', `name = 'a/b'`, 'sync_name_check'],
  ])('cannot have %s', async (_, set, constraint) => {
    await expect(update(set)).rejects.toMatchObject({ constraint });
  });

  test('cannot be paused in another tenant’s name', async () => {
    await expect(
      pool.query(`insert into penstock.pause (id, tenant_id, sync_id) values ('pau_x', $1, $2)`, [
        globex.tenantId,
        acme.syncId,
      ]),
    ).rejects.toMatchObject({ constraint: 'pause_is_its_tenants' });
  });
});
