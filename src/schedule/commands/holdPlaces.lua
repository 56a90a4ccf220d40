-- holdPlaces: writes the places of runs that are at work, as their rows say, whatever the cap.
-- KEYS  1 active:global  2 runs  3 prefix of ready:<tenant>
-- ARGV  quadruples: run id, tenant id, sync id, score
-- Result number of places that were missing
-- Invariant 3: a run that holds a place does not wait. Invariant 8: at rest the places are exactly the runs that hold them.
local added = 0
for i = 1, #ARGV, 4 do
  local run, tenant, sync, score = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  added = added + redis.call('SADD', KEYS[1], run)
  redis.call('ZREM', KEYS[3] .. tenant, run)
  redis.call('HSET', KEYS[2], run, tenant .. ' ' .. sync .. ' ' .. score)
end
return added
