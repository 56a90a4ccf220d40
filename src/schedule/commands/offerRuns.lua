-- offerRuns: puts queued runs in their tenant's waiting order, or gives those that wait already a new score.
-- KEYS  1 tenants: zset tenant id -> virtual time  2 virtual: hash tenant id or 'system' -> virtual time
--       3 runs: hash run id -> 'tenant sync score'  4 active:global: set of run ids  5 prefix of ready:<tenant>: zset
--       run id -> virtual deadline  6 wake channel
-- ARGV  quadruples: run id, tenant id, sync id, score
-- Result number of runs that wait now
-- Invariant 3: a run that holds a place does not wait. Invariant 5: a tenant that comes back starts at the system's
-- virtual time, so that an idle tenant saves up nothing.
local waiting = 0
for i = 1, #ARGV, 4 do
  local run, tenant, sync, score = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if redis.call('SISMEMBER', KEYS[4], run) == 0 then
    redis.call('HSET', KEYS[3], run, tenant .. ' ' .. sync .. ' ' .. score)
    redis.call('ZADD', KEYS[5] .. tenant, score, run)
    if not redis.call('ZSCORE', KEYS[1], tenant) then
      local own = tonumber(redis.call('HGET', KEYS[2], tenant) or 0)
      local system = tonumber(redis.call('HGET', KEYS[2], 'system') or 0)
      redis.call('ZADD', KEYS[1], math.max(own, system), tenant)
    end
    waiting = waiting + 1
  end
end
if waiting > 0 then redis.call('PUBLISH', KEYS[6], 'ready') end
return waiting
