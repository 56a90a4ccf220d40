-- Up Migration
-- Steps of a run at work that somebody has paused in the engine, as the dispatcher last found them; null: none. Such a run is
-- looked at again at look_at, whether it moves or not.
alter table penstock.run
  add column paused_steps jsonb,
  add column look_at timestamptz;
