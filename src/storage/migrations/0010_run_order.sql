-- Up Migration
-- In which order a tenant's waiting runs start: by deadline, or strictly by priority.
alter table penstock.tenant add column run_order text not null default 'deadline' check (run_order in ('deadline', 'strict'));
