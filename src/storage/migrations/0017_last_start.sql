-- Up Migration
-- When a run that reads from it last started; kept where starts are to keep a distance, for a dispatcher without an index.
alter table penstock.connection add column last_start_at timestamptz;
