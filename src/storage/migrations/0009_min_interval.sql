-- Up Migration
-- How far apart the due times of a tenant's syncs must be at least: a duration as in specs; null is any distance.
alter table penstock.tenant add column min_interval text check (min_interval ~ '^\d{1,12}(ms|s|m|h|d)$');
