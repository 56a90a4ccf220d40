-- Up Migration
-- What the sync's skipIfUnchanged query amounted to when the run began; null: it has none, or it was not asked.
alter table penstock.run add column source_fingerprint text;
