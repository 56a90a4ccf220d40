-- releaseRuns: forgets runs that are final, and frees the places of those and of paused ones.
-- KEYS  1-10 as in waiting.lua  11 tickets  12 wake channel
-- ARGV  run ids
-- Result number of places freed
-- Invariant 8: at rest the places are exactly the runs that hold them. Invariant 12: nobody is parked where there is room.
local freed = 0
for _, run in ipairs(ARGV) do
  freed = freed + free(run)
  stopWaiting(run)
  redis.call('ZREM', KEYS[11], run)
  redis.call('HDEL', runs, run)
end
if freed > 0 then redis.call('PUBLISH', KEYS[12], 'released') end
return freed
