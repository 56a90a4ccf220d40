-- freePlaces: frees places that no row vouches for, unless a ticket does: an admission may be on its way to the rows.
-- KEYS  1 active:global  2 tickets  3 runs  4 wake channel
-- ARGV  run ids
-- Result number of places freed
-- Invariant 8: at rest the places are exactly the runs that hold them.
local freed = 0
for _, run in ipairs(ARGV) do
  if not redis.call('ZSCORE', KEYS[2], run) then
    freed = freed + redis.call('SREM', KEYS[1], run)
    redis.call('HDEL', KEYS[3], run)
  end
end
if freed > 0 then redis.call('PUBLISH', KEYS[4], 'ready') end
return freed
