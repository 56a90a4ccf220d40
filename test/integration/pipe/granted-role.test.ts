/** A destination that was granted as a role: nothing is done to a table that the role could not do itself. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { planSync } from '../../../src/copy/plan-sync.ts';
import { newId } from '../../../src/domain/ids.ts';
import type { ConnectionAccess } from '../../../src/ports/connection.ts';
import type { Destination } from '../../../src/ports/destination.ts';
import {
  createPipeRoom,
  rowsAsText,
  type PipeRoom,
  type SyncInput,
  type TestSync,
} from '../../support/pipe-room.ts';
import { verifySync } from '../../support/verify-sync.ts';

let room: PipeRoom;
let granted: Destination;
const role = `acme_${newId('run').slice(-12)}`;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.to.query(`create role ${role}`);
  await room.from.query(`create table people (tenant text default 'acme', id integer primary key, name text);
    insert into people select 'acme', i, 'name ' || i from generate_series(1, 50) as i`);
  granted = room.openDestination({ access: { databaseRole: role } });
});
afterAll(async () => {
  await granted.close();
  await room.to.query(`drop owned by ${role}; drop role ${role}`);
  await room.close();
});
beforeEach(() => room.to.query(`create schema app; grant usage on schema app to ${role}`));
afterEach(() => room.to.query('drop schema app cascade'));

const syncOf = (over: Partial<SyncInput> = {}): TestSync =>
  room.sync({
    query: 'select tenant, id, name from people',
    key: ['tenant', 'id'],
    table: 'app.target',
    ...over,
  });
const planOf = ({ id, spec }: TestSync) =>
  planSync({ source: room.source, destination: granted }, { sync: id, syncVersion: 1, spec });
const rows = (where = 'true') =>
  rowsAsText(room.to, `select tenant, id, name from app.target where ${where}`);

/** A table of many tenants, of which row-level security shows the role the rows of one. */
async function createWalled(): Promise<void> {
  await room.to.query(`create table app.target (tenant text, id integer, name text, primary key (tenant, id));
    insert into app.target select tenant, i, 'old' from unnest(array['acme', 'globex']) as tenant, generate_series(41, 60) as i;
    alter table app.target enable row level security;
    create policy own on app.target to ${role} using (tenant = 'acme') with check (tenant = 'acme');
    grant select, insert, update, delete on app.target to ${role}`);
}

test('a mirror finds, counts and deletes what row-level security shows the role, and nothing else', async () => {
  await createWalled();
  const limits = { maxDeletePercent: 50 };
  expect(await room.run(syncOf({ mode: 'mirror', limits }), { destination: granted })).toMatchObject({
    inserted: 40,
    updated: 10,
    deleted: 10,
  });
  expect(await rows(`tenant = 'acme'`)).toEqual(await rowsAsText(room.from, 'select * from people'));
  expect(await rows(`tenant = 'globex'`)).toHaveLength(20);
});

test.each(['empty', 'filled'])(
  'an upsert into a table with row-level security, %s, which has no COPY',
  async (state) => {
    await createWalled();
    if (state === 'empty') await room.to.query('delete from app.target');
    // So that the final batch has no rows, and is tried straight as well.
    const limits = { rows: 25, bytes: 1 << 20, timeMs: 60_000 };
    const options = { destination: granted, limits };
    expect(await room.run(syncOf({ mode: 'upsert' }), options)).toMatchObject({
      read: 50,
      inserted: state === 'empty' ? 50 : 40,
    });
  },
);

test('a row that is not the role’s to write is refused, whatever the query gives', async () => {
  await createWalled();
  const query = `select 'globex' as tenant, id, name from people`;
  await expect(room.run(syncOf({ mode: 'upsert', query }), { destination: granted })).rejects.toMatchObject({
    code: 'DESTINATION_PERMISSION',
  });
  expect(await rows(`tenant = 'globex' and name <> 'old'`)).toEqual([]);
});

test('a reset tells and deletes the rows that the role sees', async () => {
  await createWalled();
  const sync = syncOf({ mode: 'upsert' });
  await room.run(sync, { destination: granted });
  expect(await granted.describeReset(sync.id)).toMatchObject({ tables: [{ rows: 60 }] });
  await granted.resetSync(sync.id, { deleteRows: true });
  expect(await rows(`tenant = 'acme'`)).toEqual([]);
  expect(await rows(`tenant = 'globex'`)).toHaveLength(20);
});

describe('rows that were granted once, and are not now,', () => {
  const scope = { tenant: 'acme' };
  const query = 'select id, name from people';
  test.each<[string, Partial<ConnectionAccess>]>([
    ['by the table', { granted: { tablePattern: 'app.other*', scope: {} } }],
    ['by the scope', { granted: { tablePattern: 'app.*', scope: { tenant: 'globex' } } }],
  ])('%s, are neither deleted by a reset nor compared', async (_, access) => {
    const narrowed = room.openDestination({ access });
    const sync = syncOf({ query, key: ['id'], scope });
    await room.run(sync);
    expect(await narrowed.describeReset(sync.id)).toMatchObject({ tables: [] });
    await expect(verifySync({ ...room, destination: narrowed }, sync)).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await narrowed.resetSync(sync.id, { deleteRows: true });
    await narrowed.close();
    expect(await rows()).toHaveLength(50);
  });

  test('while those that are granted still are both', async () => {
    const covered = room.openDestination({ access: { granted: { tablePattern: 'app.*', scope } } });
    const sync = syncOf({ query, key: ['id'], scope });
    await room.run(sync);
    expect(await verifySync({ ...room, destination: covered }, sync)).toMatchObject({ equal: true });
    expect(await covered.describeReset(sync.id)).toMatchObject({ tables: [{ rows: 50 }] });
    await covered.resetSync(sync.id, { deleteRows: true });
    await covered.close();
    expect(await rows()).toEqual([]);
  });
});

describe('a role that may only read a table', () => {
  beforeEach(() =>
    room.to.query(`create table app.target (tenant text, id integer, name text, primary key (tenant, id));
      insert into app.target values ('acme', 1, 'old'); grant select on app.target to ${role}`),
  );

  test.each(['append', 'upsert', 'mirror', 'replace'] as const)('cannot change it: %s', async (mode) => {
    const before = await room.to.query(`select 'app.target'::regclass::oid as oid`);
    const sync = syncOf({ mode, limits: { maxDeletePercent: 100 } });
    expect((await planOf(sync)).refusals).toMatchObject([{ code: 'DESTINATION_PERMISSION' }]);
    await expect(room.run(sync, { destination: granted })).rejects.toMatchObject({
      code: 'DESTINATION_PERMISSION',
    });
    expect(await rows()).toEqual(['(acme,1,old)']);
    expect((await room.to.query(`select 'app.target'::regclass::oid as oid`)).rows).toEqual(before.rows);
  });

  test('nor delete its rows by a reset', async () => {
    const sync = syncOf();
    await room.prepare(sync, newId('run'));
    await expect(granted.resetSync(sync.id, { deleteRows: true })).rejects.toMatchObject({
      code: 'DESTINATION_PERMISSION',
    });
    expect(await rows()).toHaveLength(1);
  });

  test('nor give it a column, though it may write rows', async () => {
    await room.to.query(`grant insert on app.target to ${role}`);
    const sync = syncOf({
      query: 'select tenant, id, name, 1 as extra from people',
      onSchemaChange: 'add_columns',
    });
    await expect(room.prepare(sync, newId('run'), { destination: granted })).rejects.toMatchObject({
      code: 'DESTINATION_PERMISSION',
    });
  });
});

test('a role that may write rows, but does not own the table, replaces rows and not the table', async () => {
  await room.to.query(`create table app.target (tenant text, id integer, name text);
    insert into app.target values ('acme', 1, 'old'); grant select, insert, delete on app.target to ${role}`);
  const oid = async () => (await room.to.query(`select 'app.target'::regclass::oid as oid`)).rows;
  const before = await oid();
  const sync = syncOf({ mode: 'replace' });
  expect((await planOf(sync)).locks.at(-1)).toMatchObject({ lock: 'SHARE ROW EXCLUSIVE' });
  await room.run(sync, { destination: granted });
  expect(await rows()).toEqual(await rowsAsText(room.from, 'select * from people'));
  expect(await oid()).toEqual(before);
});

test('a table that is made is the role’s, if it may make one; both are said by the plan', async () => {
  const sync = syncOf({ mode: 'mirror' });
  expect((await planOf(sync)).refusals).toMatchObject([{ code: 'DESTINATION_PERMISSION' }]);
  await expect(room.run(sync, { destination: granted })).rejects.toMatchObject({
    code: 'DESTINATION_PERMISSION',
  });
  expect((await room.to.query(`select to_regclass('app.target') as made`)).rows).toEqual([{ made: null }]);
  await room.to.query(`grant create on schema app to ${role}`);
  expect((await planOf(sync)).refusals).toEqual([]);
  await room.run(sync, { destination: granted });
  expect(await rows()).toEqual(await rowsAsText(room.from, 'select * from people'));
  const { rows: owners } = await room.to.query(`select tableowner from pg_tables where schemaname = 'app'`);
  expect(owners).toEqual([{ tableowner: role }]);
});
