/** Replace: the result takes the place of the target's rows at once, and readers see the ones or the others. */
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

describe('a table that is replaced', () => {
  test('is made when there is none, and has exactly the result after every run', async () => {
    const sync = room.replacing();
    expect(await room.run(sync)).toMatchObject({ read: 1000, inserted: 1000 });
    await room.expectReplaced();
    await room.from.query(`delete from numbers where id <= 100`);
    await room.from.query(`update numbers set label = 'changed' where id > 900`);
    expect(await room.run(sync)).toMatchObject({ read: 900, inserted: 900 });
    await room.expectReplaced();
  });

  test.each([
    ['a key: it goes on where an attempt ended', ['id'], 'select * from numbers', [500, 500]],
    ['no key: it begins again', [], 'select * from numbers', [500, 1000]],
    ['a sample: it begins again', ['id'], 'select * from numbers limit 1000', [500, 1000]],
  ])('can be read with %s', async (_, key, sql, [first, second]) => {
    await room.createTarget();
    const [run, sync] = [newId('run'), room.replacing({ key, query: sql })];
    const load = await room.prepare(sync, run);
    const limits = { rows: 100, bytes: 1 << 20, timeMs: 60_000 };
    let batches = 0;
    const drain = () => batches >= 5;
    const onProgress = (progress: { batches: number }) => void (batches = progress.batches);
    expect(await room.attempt(run, load, { limits, drain, onProgress })).toMatchObject({ rows: first });
    expect(await room.targetRows()).toHaveLength(900);
    expect(await room.attempt(run, load, { limits })).toMatchObject({ outcome: 'finished', rows: second });
    expect(await room.targetRows()).toHaveLength(900);
    await room.destination.finish({ run, load: load.loadId });
    await room.expectReplaced();
  });

  test('keeps everything that it is made of: only its rows change', async () => {
    const [owner, reader] = [`owner_${Date.now()}`, `reader_${Date.now()}`];
    await room.to.query(
      `create role ${owner}; create role ${reader}; grant all on schema public to ${owner}`,
    );
    await room.to.query(`
      create sequence free;
      create table target (
        id integer not null constraint "the Key" primary key with (fillfactor = 70),
        label text collate "C" default 'none',
        gone integer,
        twice text generated always as (label || label) stored,
        at timestamptz(3) not null default now(),
        number bigint default nextval('free'),
        range int4range,
        constraint positive check (id > 0) no inherit,
        constraint apart exclude using gist (range with &&) deferrable initially deferred,
        constraint once unique nulls not distinct (label, id)
      ) with (fillfactor = 80, autovacuum_enabled = false, toast.autovacuum_enabled = false);
      alter table target drop column gone, alter label set storage external;
      create index "by Label" on target (lower(label) text_pattern_ops desc nulls last) include (id) where id > 3;
      create index hashed on target using hash (label);
      comment on table target is 'it''s the target';
      comment on column target.label is 'a label';
      comment on index hashed is 'an index';
      comment on constraint positive on target is 'a check';
      comment on constraint once on target is 'a key';
      alter table target owner to ${owner};
      grant select on target to ${reader} with grant option;
      grant update (label) on target to ${reader};
      grant insert on target to public`);
    const facts = async () => {
      const { rows } = await room.to.query(`
        select 'acl', relacl::text, relowner::regrole::text, obj_description(oid), reloptions::text,
               (select reloptions::text from pg_class t where t.oid = c.reltoastrelid)
          from pg_class c where oid = 'target'::regclass
        union all select 'column', attname, format_type(atttypid, atttypmod),
               concat_ws(' ', attnotnull, attstorage, attgenerated, attcollation, attacl), pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
          from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
         where attrelid = 'target'::regclass and attnum > 0 and not attisdropped
        union all select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), obj_description(indexrelid, 'pg_class'), null, null
          from pg_index where indrelid = 'target'::regclass
        union all select 'constraint', conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint'), connoinherit::text, null
          from pg_constraint where conrelid = 'target'::regclass
        order by 1, 2`);
      return rows;
    };
    const [before, oid] = [await facts(), await room.oidOf('target')];
    await room.run(room.replacing());
    expect(await room.oidOf('target')).not.toBe(oid);
    expect(await facts()).toEqual(before);
    await room.expectReplaced();
    await room.to.query(`drop owned by ${owner}, ${reader} cascade; drop role ${owner}, ${reader}`);
  });

  test('is kept as the previous one, one generation, when that is asked for', async () => {
    await room.createTarget();
    const sync = room.replacing({ keepPrevious: true });
    await room.run(sync);
    expect(await room.targetRows('target_previous')).toHaveLength(900);
    await room.from.query('delete from numbers where id = 1');
    const first = await room.targetRows();
    await room.run(sync);
    await room.expectReplaced();
    expect(await room.targetRows('target_previous')).toEqual(first);
    const names = await room.to.query(
      `select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1`,
    );
    expect(names.rows.map(({ relname }) => relname)).toEqual(['target', 'target_previous']);
    await room.run({ ...sync, spec: { ...sync.spec, keepPrevious: false } });
    await room.expectReplaced();
  });

  test('is not kept under a name that is somebody else’s, nor where something reads the one that was kept', async () => {
    await room.createTarget();
    await room.to.query('create table target_previous (mine text)');
    const sync = room.replacing({ keepPrevious: true });
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'REPLACE_REFUSED',
      message: expect.stringContaining('target_previous'),
    });
    await room.to.query('drop table target_previous');
    await room.run(sync);
    await room.to.query('create view history as select * from target_previous');
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'REPLACE_REFUSED',
      message: expect.stringContaining('history'),
    });
    expect(await room.targetRows()).toHaveLength(1000);
  });
});

describe('what would shrink a table', () => {
  test('is stopped before it does, says by how much, and is read again by the next run', async () => {
    await room.createTarget();
    await room.from.query('delete from numbers where id > 700');
    const sync = room.replacing();
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'TOO_MANY_DELETES',
      meta: { wouldDelete: 200, of: 900, maxDeletePercent: 20 },
    });
    expect(await room.targetRows()).toHaveLength(900);
    await room.from.query('delete from numbers where id = 700');
    const limits = { ...sync.spec.limits, maxDeletePercent: 23 };
    expect(await room.run({ ...sync, spec: { ...sync.spec, limits } })).toMatchObject({ read: 699 });
    await room.expectReplaced();
  });

  test.each([
    ['swapped', ''],
    ['exchanged', 'create view report as select * from target'],
  ])('may be empty only if everything may go: %s', async (_, sql) => {
    await room.createTarget();
    await room.to.query(sql);
    await room.from.query('truncate numbers');
    const [some, all] = [99, 100].map((maxDeletePercent) => room.replacing({ limits: { maxDeletePercent } }));
    await expect(room.run(some!)).rejects.toMatchObject({ code: 'TOO_MANY_DELETES' });
    expect(await room.targetRows()).toHaveLength(900);
    const { id } = some!;
    expect(await room.run({ ...all!, id })).toMatchObject({ read: 0 });
    await room.expectReplaced();
  });
});

describe('readers', () => {
  test.each([
    ['swapped', ''],
    ['rewritten', 'create view report as select * from target'],
  ])('in a loop see the old rows or the new ones, never none or some: %s', async (_, sql) => {
    await room.createTarget();
    await room.to.query(sql);
    const reader = await room.connect('a reader');
    const seen = new Set<string>();
    const over = new AbortController();
    const reading = (async () => {
      while (!over.signal.aborted) {
        const { rows } = await reader.query<{ n: number; old: number }>(
          `select count(*)::int as n, count(*) filter (where label like 'old%')::int as old from target`,
        );
        seen.add(`${rows[0]!.n} rows, ${rows[0]!.old} old`);
      }
    })();
    await room.run(room.replacing());
    over.abort();
    await reading;
    await reader.end();
    expect([...seen].filter((each) => each !== '900 rows, 900 old' && each !== '1000 rows, 0 old')).toEqual(
      [],
    );
    await room.expectReplaced();
  });

  test.each([
    ['swapped', 'is waited for', ''],
    ['rewritten', 'is not in the way', 'create view report as select * from target'],
  ])(
    'whose snapshot is older than the new rows do not find the table empty: %s, it %s',
    async (way, _, sql) => {
      await room.createTarget();
      await room.to.query(sql);
      const old = await room.connect('an old reader');
      await old.query('begin isolation level repeatable read');
      await old.query('select 1 from pg_class limit 1');
      const [run, sync] = [newId('run'), room.replacing()];
      const load = await room.prepare(sync, run);
      await room.attempt(run, load);
      const { rows: me } = await old.query<{ pid: number }>('select pg_backend_pid() as pid');
      const impatient = room.openDestination({ timeouts: { swapWaitMs: 0 } });
      const finish = () => impatient.finish({ run, load: load.loadId });
      if (way === 'swapped')
        await expect(finish()).rejects.toMatchObject({
          code: 'TARGET_LOCKED',
          message: expect.stringMatching(`session ${me[0]!.pid} .*"an old reader".*snapshot`),
        });
      else await finish();
      expect(await rowsAsText(old, 'select * from target')).toHaveLength(900);
      await old.query('commit');
      if (way === 'swapped') await finish();
      expect(await rowsAsText(old, 'select * from target')).toHaveLength(1000);
      await Promise.all([old.end(), impatient.close()]);
    },
  );

  test('whose snapshot is an earlier publisher’s of the same load, which has come to rest, are ended', async () => {
    await room.createTarget();
    const [run, sync] = [newId('run'), room.replacing()];
    const load = await room.prepare(sync, run);
    await room.attempt(run, load);
    const frozen = await room.connect(`penstock:${load.loadId}:finish`);
    frozen.on('error', () => {});
    await frozen.query('begin isolation level repeatable read');
    await frozen.query('select 1 from pg_class limit 1');
    await room.destination.finish({ run, load: load.loadId });
    await room.expectReplaced();
    await expect(frozen.query('select 1')).rejects.toThrow();
  });

  test('never queue for long behind a swap that waits: who holds the table is named, and it is tried again', async () => {
    await room.createTarget();
    const [run, sync] = [newId('run'), room.replacing()];
    const load = await room.prepare(sync, run);
    await room.attempt(run, load);
    const holder = await room.connect('a long report');
    await holder.query('begin; select count(*) from target');
    const { rows: me } = await holder.query<{ pid: number }>('select pg_backend_pid() as pid');
    const impatient = room.openDestination({ timeouts: { swapWaitMs: 0 } });
    await expect(impatient.finish({ run, load: load.loadId })).rejects.toMatchObject({
      code: 'TARGET_LOCKED',
      message: expect.stringMatching(`session ${me[0]!.pid} .*"a long report".*AccessShareLock`),
    });
    const patient = room.openDestination({ timeouts: { swapWaitMs: 600_000 } });
    const finished = patient.finish({ run, load: load.loadId });
    const reader = await room.connect('a reader');
    await reader.query(`set lock_timeout = '30s'`);
    for (let i = 0; i < 30; i++)
      expect((await reader.query('select count(*)::int as n from target')).rows[0].n).toBe(900);
    await holder.query('commit');
    await finished;
    await room.expectReplaced();
    await Promise.all([holder.end(), reader.end(), impatient.close(), patient.close()]);
  });

  test('do not wait for an autovacuum of the table either: it gives way to a swap', async () => {
    await room.createTarget(`id integer primary key, label text default repeat('x', 300)`);
    await room.to.query(`insert into target select generate_series(1001, 30000)`);
    await room.to.query(`update target set label = 'old'`);
    await room.to.query(
      `alter table target set (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
         autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)`,
    );
    const isVacuumed = `select from pg_locks join pg_stat_activity a using (pid) where relation = 'target'::regclass
        and backend_type = 'autovacuum worker' and mode = 'ShareUpdateExclusiveLock'`;
    const [run, sync] = [newId('run'), room.replacing({ limits: { maxDeletePercent: 100 } })];
    const load = await room.prepare(sync, run);
    await room.attempt(run, load);
    await setNaptime(`= '1s'`);
    try {
      await waitUntil('an autovacuum', async () => (await room.to.query(isVacuumed)).rowCount! > 0, 60_000);
    } finally {
      await setNaptime('to default');
    }
    await room.destination.finish({
      run,
      load: load.loadId,
      limits: { chunkRows: 1, maxDeletePercent: 100 },
    });
    await room.expectReplaced();
  }, 120_000);
});

const setNaptime = async (value: string) => {
  await room.to.query(`alter system set autovacuum_naptime ${value}`);
  await room.to.query('select pg_reload_conf()');
};
