-- offerRuns: puts queued runs in the order of their tenants, or gives those that wait already a new score.
-- KEYS  1-10 as in waiting.lua  11 wake channel
-- ARGV  quintuples: run id, tenant id, sync id, connection id, score
-- Result number of runs that wait now
-- Invariant 3: a run that holds a place does not wait.
local waiting = 0
for i = 1, #ARGV, 5 do
  local run, tenant, sync, connection, score = unpack(ARGV, i, i + 4)
  if redis.call('SISMEMBER', active .. 'global', run) == 0 then
    redis.call('HSET', runs, run, tenant .. ' ' .. sync .. ' ' .. connection .. ' ' .. score)
    if redis.call('ZSCORE', parked .. connection, run) then
      redis.call('ZADD', parked .. connection, score, run)
    elseif not redis.call('ZSCORE', later, run) then
      makeReady(run, tenant, score)
    end
    waiting = waiting + 1
  end
end
if waiting > 0 then redis.call('PUBLISH', KEYS[11], 'ready') end
return waiting
