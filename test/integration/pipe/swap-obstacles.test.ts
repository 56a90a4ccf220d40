/**
 * What is in the way when a table is to take another's place. Everything that hangs on the target stays and works: then the
 * rows are exchanged, or the object is named and nothing is touched.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import { rowsAsText } from '../../support/pipe-room.ts';
import { createReplaceRoom, type ReplaceRoom } from '../../support/replace-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: ReplaceRoom;
beforeAll(async () => {
  room = await createReplaceRoom();
});
afterAll(() => room.close());
beforeEach(() => room.renew());

describe('what is in the way of a swap', () => {
  test.each([
    ['a view', 'create view report as select id from target', 'rewritten'],
    ['a materialized view', 'create materialized view report as select id from target', 'rewritten'],
    [
      'a rule on another table',
      'create table log (n int); create rule r as on insert to log do also select * from target',
      'rewritten',
    ],
    [
      'a foreign key of its own',
      'create table kind (id int primary key); insert into kind select generate_series(1, 1000); alter table target add constraint k foreign key (id) references kind',
      'rewritten',
    ],
    [
      'a trigger on insert',
      `create function f() returns trigger language plpgsql as 'begin return new; end'; create trigger t before insert on target for each row execute function f()`,
      'rewritten',
    ],
    [
      'a disabled trigger on delete',
      `create function f() returns trigger language plpgsql as 'begin return old; end'; create trigger t before delete on target for each row execute function f(); alter table target disable trigger t`,
      'rewritten',
    ],
    [
      'a policy',
      'create policy p on target using (true); alter table target enable row level security',
      'rewritten',
    ],
    ['a publication', 'create publication pub for table target', 'rewritten'],
    ['a publication of all tables', 'create publication pub for all tables', 'rewritten'],
    ['a publication of its schema', 'create publication pub for tables in schema public', 'rewritten'],
    ['statistics', 'create statistics st on id, label from target', 'rewritten'],
    ['an identity', 'alter table target add n integer generated always as identity', 'rewritten'],
    ['a sequence that it owns', 'alter table target add n serial', 'rewritten'],
    [
      'a function of its row type',
      `create function f(target) returns int language sql as 'select 1'`,
      'rewritten',
    ],
    [
      'a function that reads it',
      'create function f() returns bigint language sql begin atomic select count(*) from target; end',
      'rewritten',
    ],
    ['a column of its row type', 'create table other (t target[])', 'rewritten'],
    [
      'a parent',
      'create table parent (id integer not null, label text); alter table target inherit parent',
      'rewritten',
    ],
    [
      'its being a partition',
      'create table parent (id integer not null, label text) partition by range (id); alter table parent attach partition target for values from (0) to (10000)',
      'rewritten',
    ],
    ['its replica identity', 'alter table target replica identity full', 'rewritten'],
    ['that it is not logged', 'alter table target set unlogged', 'rewritten'],
    ['an index that it is clustered by', 'alter table target cluster on target_pkey', 'rewritten'],
    ['a statistics target', 'alter table target alter label set statistics 500', 'rewritten'],
    [
      'a foreign key pointing at it',
      'create table child (id int references target)',
      /constraint child_id_fkey on table public\.child/,
    ],
    [
      'a trigger on delete',
      `create function f() returns trigger language plpgsql as 'begin return old; end'; create trigger t after delete on target for each row execute function f()`,
      /trigger t on table public\.target/,
    ],
    ['a rule', 'create rule r as on delete to target do instead nothing', /rule r on table public\.target/],
    ['a child', 'create table child () inherits (target)', /table public\.child/],
    ['nothing but an index', 'create index i on target (label)', 'swapped'],
  ] as const)('%s', async (_, sql, way) => {
    await room.createTarget();
    await room.to.query(sql);
    const oid = await room.oidOf('target');
    const run = room.run(room.replacing());
    if (way instanceof RegExp) {
      await expect(run).rejects.toMatchObject({
        code: 'REPLACE_REFUSED',
        message: expect.stringMatching(way),
      });
      expect(await room.targetRows()).toHaveLength(900);
    } else {
      await run;
      expect((await room.oidOf('target')) === oid ? 'rewritten' : 'swapped').toBe(way);
      await room.expectReplaced();
    }
    await room.to.query('drop publication if exists pub');
  });

  test.each([
    [
      'a view',
      'rewritten',
      'create view report as select * from target',
      'select count(*) = 1000 from report',
    ],
    [
      'a column',
      'rewritten',
      `alter table target add column added text default 'here'`,
      `select bool_and(added = 'here') from target`,
    ],
    [
      'an index',
      'swapped',
      'create index later on target (label)',
      `select indrelid = 'target'::regclass from pg_index where indexrelid = 'later'::regclass`,
    ],
    [
      'a grant',
      'swapped',
      'grant select on target to public',
      `select relacl::text like '%,=r/%' from pg_class where oid = 'target'::regclass`,
    ],
  ])(
    'is looked for again with the lock held: DDL between the plan and the swap is not lost: %s, %s',
    async (_, way, sql, isKept) => {
      await room.createTarget();
      const [run, sync, oid] = [newId('run'), room.replacing(), await room.oidOf('target')];
      const load = await room.prepare(sync, run);
      await room.attempt(run, load);
      const holder = await room.connect('somebody');
      await holder.query('begin; select 1 from target limit 1');
      const finish = room.destination.finish({ run, load: load.loadId });
      await waitUntil('a swap that waits for its lock', async () => {
        const waiting = `select from pg_locks where relation = 'target'::regclass and mode = 'AccessExclusiveLock' and not granted`;
        return (await room.to.query(waiting)).rowCount === 1;
      });
      await holder.query(`${sql}; commit`);
      await finish;
      expect((await room.oidOf('target')) === oid ? 'rewritten' : 'swapped').toBe(way);
      expect(await rowsAsText(room.to, isKept)).toEqual(['(t)']);
      await room.expectReplaced();
      await holder.end();
    },
  );

  test('is named for a previous table that is to be kept, before anything is read', async () => {
    await room.createTarget();
    await room.to.query('create view report as select id from target');
    const prepare = room.prepare(room.replacing({ keepPrevious: true }), newId('run'));
    await expect(prepare).rejects.toMatchObject({
      code: 'REPLACE_REFUSED',
      message: expect.stringContaining('view public.report'),
    });
  });

  test('a login that does not own the table rewrites it', async () => {
    await room.createTarget();
    const login = `login_${Date.now()}`;
    await room.to
      .query(`create role ${login} login password 'secret'; grant create on database "${room.destinationAccess.database}" to ${login};
      grant usage on schema public to ${login}; grant select, insert, delete on target to ${login}`);
    await room.to.query('drop schema if exists _penstock cascade');
    const weak = room.openDestination({ access: { user: login, password: 'secret' } });
    const [run, sync, oid] = [newId('run'), room.replacing(), await room.oidOf('target')];
    const load = await room.prepare(sync, run, { destination: weak });
    await room.attempt(run, load, { destination: weak });
    await weak.finish({ run, load: load.loadId });
    expect(await room.oidOf('target')).toBe(oid);
    await room.expectReplaced();
    await weak.close();
    await room.to.query(`drop schema _penstock cascade; drop owned by ${login}; drop role ${login}`);
  });
});
