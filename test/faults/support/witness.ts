/**
 * Watches the commit protocol from inside the destination: each rule that a writer broke is a row that it committed. Right
 * rows in the end do not prove that everybody kept to the rules: another may have mended it, or been faster.
 */
import { expect } from '@jest/globals';
import { execute } from '../../support/execute.ts';

/** What a trigger on each table of `_penstock` looks at, as it stands when the statement has run. */
const testimony: Readonly<Record<string, string>> = {
  checkpoint: `
    insert into witness.seen select 'a batch of a run that is final', new.run from _penstock.run where id = new.run and final;
    insert into witness.seen select 'a batch without the lease', l::text from _penstock.lease l
      where load = new.load and partition = new.partition and (run is distinct from new.run or epoch <> new.epoch);
    insert into witness.seen select 'a batch that is not the next', new.batch || ' after ' || coalesce(max(batch), 0)
      from _penstock.checkpoint where load = new.load and partition = new.partition and batch <> new.batch
      having coalesce(max(batch), 0) <> new.batch - 1;`,
  lease: `
    insert into witness.seen select 'a lease taken for a run that is final', new.run from _penstock.run where id = new.run and final;
    insert into witness.seen select 'a lease taken back by an older epoch', old.epoch || ' by ' || new.epoch
      where old.run = new.run and new.epoch <= old.epoch;`,
  load: `
    insert into witness.seen select 'a load closed twice', old.phase || ', ' || new.phase
      where old.phase in ('done', 'abandoned');
    insert into witness.seen select 'a load done by a run that is final', new.finished_by from _penstock.run
      where new.phase = 'done' and id = new.finished_by and final;`,
  run: `
    insert into witness.seen select 'a run that is final no more', new.id where old.final and not new.final;`,
};

const trigger = (table: string): string => `
  create function witness.${table}() returns trigger language plpgsql as $watch$ begin ${testimony[table]} return null; end $watch$`;

/** The tables are made by the first copy, and may be made by several: so the triggers come with them. */
const summon = `
  create function witness.summon() returns event_trigger language plpgsql as $summon$
    declare name text;
    begin
      foreach name in array '{${Object.keys(testimony).join(',')}}'::text[] loop
        continue when to_regclass('_penstock.' || name) is null
          or exists (select from pg_trigger where tgrelid = to_regclass('_penstock.' || name) and tgname = 'witness');
        execute format('create trigger witness after insert or update on _penstock.%I for each row execute function witness.%I()', name, name);
      end loop;
    end $summon$;
  create event trigger witness on ddl_command_end when tag in ('CREATE TABLE') execute function witness.summon()`;

/** In a database in which nothing was copied yet. */
export async function placeWitness(url: string): Promise<void> {
  const functions = Object.keys(testimony).map(trigger);
  await execute(
    url,
    ['create schema witness; create table witness.seen (what text, detail text)', ...functions, summon].join(
      ';',
    ),
  );
}

/** Fails with what was seen; or with a table that nobody watched, which has another name than is known here. */
export async function expectNothingSeen(url: string): Promise<void> {
  const sql = `select c.relname as "table" from pg_trigger t join pg_class c on c.oid = t.tgrelid where tgname = 'witness' order by 1`;
  const watched = await execute<{ table: string }>(url, sql);
  expect(watched.map(({ table }) => table)).toEqual(Object.keys(testimony));
  expect(await execute(url, 'select what, detail from witness.seen')).toEqual([]);
}
