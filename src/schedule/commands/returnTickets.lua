-- returnTickets: gives back tickets whose runs were not started, and the places that these tickets hold.
-- KEYS  1 tickets  2 active:global  3 runs  4 tenants  5 virtual  6 prefix of ready:<tenant>  7 wake channel
-- ARGV  triples: run id, token, 'wait' (the run waits again, as before) or 'drop' (it leaves the index)
-- Result number of places given back
-- Invariant 7: only the holder of a ticket ends it, and a refusal frees only the place that this ticket holds.
local freed = 0
for i = 1, #ARGV, 3 do
  local run = ARGV[i]
  if redis.call('ZSCORE', KEYS[1], run) == ARGV[i + 1] then
    redis.call('ZREM', KEYS[1], run)
    redis.call('SREM', KEYS[2], run)
    freed = freed + 1
    local tenant, _, score = string.match(redis.call('HGET', KEYS[3], run) or '', '^(%S+) (%S+) (%S+)$')
    if ARGV[i + 2] == 'wait' and tenant then
      redis.call('ZADD', KEYS[6] .. tenant, score, run)
      if not redis.call('ZSCORE', KEYS[4], tenant) then
        local own = tonumber(redis.call('HGET', KEYS[5], tenant) or 0)
        local system = tonumber(redis.call('HGET', KEYS[5], 'system') or 0)
        redis.call('ZADD', KEYS[4], math.max(own, system), tenant)
      end
    else
      redis.call('HDEL', KEYS[3], run)
    end
  end
end
if freed > 0 then redis.call('PUBLISH', KEYS[7], 'ready') end
return freed
