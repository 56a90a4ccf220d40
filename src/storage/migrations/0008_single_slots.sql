-- Up Migration
-- What is decided about single slots of a sync, by their nominal time, and how many runs its schedule has made. Read by
-- settle; cleared when the schedule is changed.
alter table penstock.sync
  add column skipped_nominal_at timestamptz,
  add column moved_nominal_at timestamptz,
  add column moved_due_at timestamptz,
  add column scheduled_runs bigint not null default 0,
  add constraint sync_moves_a_slot_to_a_time check ((moved_nominal_at is null) = (moved_due_at is null)),
  add constraint sync_never_moves_a_slot_ahead check (moved_due_at >= moved_nominal_at);

alter table penstock.slot
  drop constraint slot_outcome_check,
  add constraint slot_outcome_is_one check (outcome in ('coalesced', 'skipped_overlap', 'skipped_paused',
    'skipped_on_request', 'skipped_unchanged', 'missed'));
