-- Up Migration
-- Which workers take the steps of its runs; null: the common ones. The shape is that of src/domain/worker-class.ts.
alter table penstock.connection
  add column worker_class text collate "C" constraint connection_worker_class_is_a_name check (worker_class ~ '^[a-z0-9][a-z0-9-]{0,31}$');

-- Frozen when the run starts: its source's class then, or else its destination's.
alter table penstock.run add column worker_class text collate "C";
