-- admit: gives free places to waiting runs, a ticket each: weighted fair queueing picks the tenant, its earliest
-- virtual deadline the run. Tickets that ran out are handed to this caller; their runs hold their places already.
-- KEYS  1 marker  2 tickets: zset run id -> Redis ms at which the ticket runs out (which is also its token)
--       3 active:global: set of run ids  4 tenants  5 virtual  6 limits: hash tenant id -> 'version weight'
--       7 runs  8 prefix of ready:<tenant>
-- ARGV  1 limit  2 global cap  3 ticket, ms  4 Redis ms after which the caller has given up: a late call does nothing
-- Result { Redis ms now, the marker: '', 'places' or 'all', token of these tickets, run id... }
-- Invariant 3: a run that holds a place does not wait. Invariant 4: there are never more places than the cap.
-- Invariant 6: nothing is admitted before the places of running work have been counted.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local filled = redis.call('GET', KEYS[1]) or ''
if filled == '' or now > tonumber(ARGV[4]) then return { now, filled, 0 } end

local limit, token = tonumber(ARGV[1]), now + tonumber(ARGV[3])
local admitted = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, limit)
for _, run in ipairs(admitted) do redis.call('ZADD', KEYS[2], token, run) end

local places = tonumber(ARGV[2]) - redis.call('SCARD', KEYS[3])
local seen, aside = {}, {}
local function syncOf(run) return string.match(redis.call('HGET', KEYS[7], run) or '', '^%S+ (%S+)') end

local function leave(tenant, virtual)
  redis.call('ZREM', KEYS[4], tenant)
  redis.call('HSET', KEYS[5], tenant, virtual)
end

while places > 0 and #admitted < limit do
  local head = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
  local tenant, virtual = head[1], tonumber(head[2])
  if not tenant then break end
  local ready = KEYS[8] .. tenant
  local first = redis.call('ZRANGE', ready, 0, 0, 'WITHSCORES')
  local run = first[1]
  if not run then
    leave(tenant, virtual)
  else
    redis.call('ZREM', ready, run)
    local sync = syncOf(run)
    if sync and seen[sync] then
      aside[#aside + 1] = { ready, first[2], run, tenant }
    else
      if sync then seen[sync] = true end
      redis.call('SADD', KEYS[3], run)
      redis.call('ZADD', KEYS[2], token, run)
      admitted[#admitted + 1] = run
      places = places - 1
      redis.call('HSET', KEYS[5], 'system', virtual)
      local weight = tonumber(string.match(redis.call('HGET', KEYS[6], tenant) or '', ' (%S+)') or 1)
      redis.call('ZADD', KEYS[4], virtual + 1 / weight, tenant)
    end
  end
end

-- A second run of a sync waits for the next call: its sync has at most one run past `queued`.
for _, run in ipairs(aside) do
  redis.call('ZADD', run[1], run[2], run[3])
  if not redis.call('ZSCORE', KEYS[4], run[4]) then
    redis.call('ZADD', KEYS[4], redis.call('HGET', KEYS[5], run[4]), run[4])
  end
end
return { now, filled, token, unpack(admitted) }
