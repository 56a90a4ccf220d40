-- Up Migration
-- A herd of due times is written at the speed of this table and its indexes: nothing is checked twice.

-- A workflow's id ends with its run's, so it is as unique as that without an index of its own.
alter table penstock.run
  drop constraint run_workflow_id_key,
  add constraint run_workflow_is_named_after_it check (right(workflow_id, length(id)) = id);

-- Who makes a run has read its sync, and says which source that has.
drop trigger run_reads_from_the_source_of_its_sync on penstock.run;
drop function penstock.set_source_connection();

-- Events take their tenant from the rows they tell of, whose tenants are checked. To check it again each event would lock
-- the tenant's row, which all its runs share.
alter table penstock.event drop constraint event_tenant_id_fkey;
