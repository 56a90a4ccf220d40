-- Up Migration
-- Parts run one after the other, so all before the current one have succeeded; only what they read need be kept.
alter table penstock.backfill
  -- read by the parts before `part`
  add column rows_before bigint not null default 0;
update penstock.backfill b set rows_before = (
  select coalesce(sum((r.receipt->>'read')::bigint), 0) from penstock.run r
  where r.backfill_id = b.id and r.backfill_part < b.part and r.status = 'succeeded');
