-- Up Migration
-- How many runs of a tenant, and from a source, may be at work at once; how many may start a minute, and until when none
-- does because the source has asked for less. The defaults are those of src/schedule/commands/shared/waiting.lua, too.
alter table penstock.tenant add column max_runs integer not null default 10 check (max_runs between 1 and 100000);
alter table penstock.connection
  add column max_runs integer not null default 4 check (max_runs between 1 and 100000),
  add column starts_per_minute integer check (starts_per_minute between 1 and 60000),
  add column cool_until timestamptz,
  -- keeps an older change of these from overtaking a newer one on its way to the schedule index
  add column limits_version integer not null default 1 check (limits_version > 0);

-- The connection that a run reads from is that of the sync's version it is made of, whatever becomes of the sync.
alter table penstock.run add column source_connection_id text collate "C";
-- Row-level security holds for the owner of the tables, too; its operator's role sees all.
set local role penstock_operator;
update penstock.run r set source_connection_id = v.spec->'source'->>'connection'
  from penstock.sync_version v where v.sync_id = r.sync_id and v.version = r.sync_version;
reset role;
alter table penstock.run alter column source_connection_id set not null;

create function penstock.set_source_connection() returns trigger language plpgsql as $$
begin
  new.source_connection_id := (select s.source_connection_id from penstock.sync s where s.id = new.sync_id);
  return new;
end $$;
-- Whoever makes a run does so of the newest version.
create trigger run_reads_from_the_source_of_its_sync before insert on penstock.run
  for each row execute function penstock.set_source_connection();
