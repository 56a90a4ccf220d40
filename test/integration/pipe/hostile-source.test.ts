/** A source is the tenant's own server, which may say anything: of that nothing becomes a statement at the destination. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { ResultColumn, Source } from '../../../src/ports/source.ts';
import { createPipeRoom, type PipeRoom, type SyncInput } from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query(
    `create table people as select i as id, 'name ' || i as name, i > 3 as gone from generate_series(1, 5) as i`,
  );
  await room.from.query('alter table people add primary key (id)');
});
afterAll(() => room.close());
beforeEach(() => room.to.query('drop table if exists target; create table if not exists prey (id integer)'));

const query = 'select id, name, gone from people';
/** A server that names the types of its columns as it likes. */
const naming = (typeName: (column: ResultColumn) => string): Source => {
  const columns: ResultColumn[] = [];
  return {
    ...room.source,
    probe: async (request) => {
      const probe = await room.source.probe(request);
      columns.push(...probe.columns);
      return { ...probe, columns: probe.columns.map((each) => ({ ...each, typeName: typeName(each) })) };
    },
    read: (request) => room.source.read({ ...request, columns }),
  };
};
const statements =
  'boolean as gone from target; drop table prey; create temporary table other as select null::boolean';

test.each<[string, Partial<SyncInput>]>([
  ['that the target keeps', {}],
  ['that says that a row is gone, and is not kept', { mode: 'upsert', deletedWhen: 'gone' }],
])('the name that it gives the type of a column %s is no statement', async (_, over) => {
  const sync = room.sync({ query, key: ['id'], mode: 'append', ...over });
  const source = naming(({ name, typeName }) => (name === 'gone' ? statements : typeName));
  await room.run(sync, { source }).catch(() => {});
  expect((await room.to.query(`select to_regclass('prey') as prey`)).rows).toEqual([{ prey: 'prey' }]);
});
