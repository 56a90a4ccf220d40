-- Up Migration
-- Rows of a result that say that their key is gone are read, and none of the other fates.
alter table penstock.run
  drop constraint run_receipt_adds_up,
  add constraint run_receipt_adds_up check (receipt is null or coalesce((receipt->>'read')::bigint =
    (receipt->>'inserted')::bigint + (receipt->>'updated')::bigint + (receipt->>'unchanged')::bigint
    + (receipt->>'deduplicated')::bigint + (receipt->>'rejected')::bigint
    + coalesce((receipt->>'tombstones')::bigint, 0), false));
