-- holdPlaces: writes the places of runs that are at work, as their rows say, whatever the caps.
-- KEYS  1-10 as in waiting.lua
-- ARGV  quintuples: run id, tenant id, sync id, connection id, score
-- Result number of places that were missing
-- Invariant 3: a run that holds a place does not wait. Invariant 8: at rest the places are exactly the runs that hold them.
local added = 0
for i = 1, #ARGV, 5 do
  local run, tenant, sync, connection, score = unpack(ARGV, i, i + 4)
  redis.call('HSET', runs, run, tenant .. ' ' .. sync .. ' ' .. connection .. ' ' .. score)
  added = added + hold(run, tenant, connection)
  stopWaiting(run)
end
return added
