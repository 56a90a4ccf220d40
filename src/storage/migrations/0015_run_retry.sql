-- Up Migration
-- What the run fails with at present and tries again (src/ports/run-control.ts); null: nothing, as far as is known.
alter table penstock.run add column retry jsonb;
