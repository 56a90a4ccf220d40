-- releaseRuns: forgets runs that are final, and frees the places of those and of paused ones.
-- KEYS  1 active:global  2 tickets  3 runs  4 prefix of ready:<tenant>  5 wake channel
-- ARGV  run ids
-- Result number of places freed
-- Invariant 8: at rest the places are exactly the runs that hold them.
local freed = 0
for _, run in ipairs(ARGV) do
  freed = freed + redis.call('SREM', KEYS[1], run)
  redis.call('ZREM', KEYS[2], run)
  local tenant = string.match(redis.call('HGET', KEYS[3], run) or '', '^(%S+) ')
  if tenant then redis.call('ZREM', KEYS[4] .. tenant, run) end
  redis.call('HDEL', KEYS[3], run)
end
if freed > 0 then redis.call('PUBLISH', KEYS[5], 'released') end
return freed
