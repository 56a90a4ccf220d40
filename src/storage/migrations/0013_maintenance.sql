-- Up Migration
-- What is over is forgotten (src/domain/retention.ts) by the engine, and by nobody else.
grant delete on penstock.run, penstock.run_attempt, penstock.slot, penstock.joined_trigger, penstock.event, penstock.audit
  to penstock_engine;

-- The last pass of each maintenance job that went through: when, and how many of what it met. Nobody's data.
create table penstock.maintenance (
  job text primary key,
  ended_at timestamptz not null default clock_timestamp(),
  tally jsonb not null
);
grant select, insert, update on penstock.maintenance to penstock_engine;
grant select on penstock.maintenance to penstock_operator;
