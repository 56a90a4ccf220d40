-- freePlaces: frees places that no row vouches for, unless a ticket does: an admission may be on its way to the rows.
-- KEYS  1-10 as in waiting.lua  11 tickets  12 wake channel
-- ARGV  run ids
-- Result number of places freed
-- Invariant 8: at rest the places are exactly the runs that hold them. Invariant 12: nobody is parked where there is room.
local freed = 0
for _, run in ipairs(ARGV) do
  if not redis.call('ZSCORE', KEYS[11], run) then
    freed = freed + free(run)
    redis.call('HDEL', runs, run)
  end
end
if freed > 0 then redis.call('PUBLISH', KEYS[12], 'ready') end
return freed
