-- Up Migration
-- Patterns of granted tables are schema.table with * for any characters of a name: in a like-pattern a bare _ is any one,
-- so that acme_% would have granted acme2_secrets as well. A grant may ask for a scope.
alter table penstock.connection_grant add column scope jsonb not null default '{}';

-- Row-level security holds for the owner of the tables, too; its operator's role sees all.
set local role penstock_operator;
update penstock.connection_grant g
  set table_pattern = p.glob || case when p.glob like '%.%' then '' else '.*' end
  from (select connection_id, tenant_id, replace(replace(replace(table_pattern, '\_', '_'), '%', '*'), '\', '') as glob
        from penstock.connection_grant) p
  where (g.connection_id, g.tenant_id) = (p.connection_id, p.tenant_id);
reset role;

alter table penstock.connection_grant
  add constraint connection_grant_pattern_is_of_schema_and_table check (table_pattern ~ '^[^."]{1,63}[.][^."]{1,63}$'),
  add constraint connection_grant_scope_is_an_object check (jsonb_typeof(scope) = 'object'),
  add constraint connection_grant_role_is_one check (database_role not in ('', 'none'));
