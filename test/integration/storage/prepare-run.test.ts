/** Two prepares of one run at once: both work with the connections that the first of them has frozen. */
import { expect, test } from '@jest/globals';
import { syncSpecSchema } from '../../../src/domain/sync-spec.ts';
import { passwordContext } from '../../../src/storage/connection-secret.ts';
import { createRunStore } from '../../../src/storage/run-store.ts';
import { createSecretBox } from '../../../src/storage/secret-box.ts';
import { createControlDatabase, plantTenant } from '../../support/control-database.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { plantRun } from '../../support/plant-run.ts';
import { waitUntil } from '../../support/wait-until.ts';

test('a prepare that waited for another keeps to the connections that it has frozen, however new they are', async () => {
  const { pool, drop } = await createControlDatabase();
  const { tenantId, connectionId, syncId } = await plantTenant(pool, 'acme');
  const spec = syncSpecSchema.parse({
    name: 'subscribers',
    source: { connection: connectionId, query: 'select 1 as id' },
    destination: { connection: connectionId, table: 'sync.subscribers' },
    mode: 'append',
    key: ['id'],
  });
  await pool.query('update penstock.sync_version set spec = $1', [spec]);
  const secretBox = createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 1) }]);
  const sealed = secretBox.seal('hush', passwordContext(tenantId, connectionId));
  await pool.query('update penstock.connection_secret set sealed = $1', [sealed]);
  const nobody = { publishDue: async () => {}, offerRuns: async () => {}, releaseRuns: async () => {} };
  const announcer = { ...nobody, saveLimits: async () => {} };
  const store = createRunStore({ pool, secretBox, logger: createKeptLogger().logger, announcer });
  const run = await plantRun(pool, syncId, { status: 'starting' });

  const other = await pool.connect();
  await other.query('begin');
  await other.query('select from penstock.run where id = $1 for no key update', [run]);
  const prepared = store.prepare(run);
  await waitUntil('it waits for the run', async () => {
    const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    return (await pool.query(waiting)).rows.length === 1;
  });
  await other.query(`insert into penstock.connection_version (connection_id, tenant_id, version, settings)
    select connection_id, tenant_id, 2, settings || '{"host": "moved.example"}' from penstock.connection_version`);
  await other.query('update penstock.connection set version = 2');
  await other.query(
    `update penstock.run set status = 'running', source_version = 2, destination_version = 2 where id = $1`,
    [run],
  );
  await other.query('commit');
  other.release();
  const moved = { host: 'moved.example' };
  await expect(prepared).resolves.toMatchObject({ status: 'running', source: moved, destination: moved });
  await drop();
});
