-- returnTickets: gives back tickets whose runs were not started, and the places that these tickets hold.
-- KEYS  1-10 as in waiting.lua  11 tickets  12 wake channel
-- ARGV  triples: run id, token, and what becomes of the run: 'wait' (as before), ms from now after which it waits again,
--       or 'drop' (it leaves the index)
-- Result number of places given back
-- Invariant 7: only the holder of a ticket ends it, and a refusal frees only the place that this ticket holds.
local freed = 0
for i = 1, #ARGV, 3 do
  local run, next = ARGV[i], ARGV[i + 2]
  if redis.call('ZSCORE', KEYS[11], run) == ARGV[i + 1] then
    redis.call('ZREM', KEYS[11], run)
    local tenant, _, _, score = factsOf(run)
    free(run)
    freed = freed + 1
    if next == 'drop' then
      redis.call('HDEL', runs, run)
    elseif next ~= 'wait' then
      redis.call('ZADD', later, now + tonumber(next), run)
    elseif tenant then
      makeReady(run, tenant, score)
    end
  end
end
if freed > 0 then redis.call('PUBLISH', KEYS[12], 'ready') end
return freed
