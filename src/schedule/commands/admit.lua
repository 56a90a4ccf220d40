-- admit: gives free places to waiting runs, a ticket each: weighted fair queueing picks the tenant, its earliest virtual
-- deadline the run. A run whose connection has no room is parked, so that it hides nothing behind it. Tickets that ran
-- out are handed to this caller; their runs hold their places already.
-- KEYS  1-10 as in waiting.lua  11 marker  12 tickets: zset run id -> Redis ms at which the ticket runs out (which is also
--       its token)  13 admission: hash 'at' -> Redis ms, 'cap': this call, for explainRun
-- ARGV  1 limit  2 global cap  3 ticket, ms  4 Redis ms after which the caller has given up: a late call does nothing
-- Result { Redis ms now, the marker: '', 'places' or 'all', token of these tickets, 1 if there is more to do at once,
--        ms until something that waits for a time goes on or -1, run id... }
-- Invariant 3: a run that holds a place does not wait. Invariant 4: there are never more places than a cap allows.
-- Invariant 5: each start is charged to its tenant, by its weight, and the one that was charged the least is next.
-- Invariant 6: nothing is admitted before the places of running work have been counted.
local filled = redis.call('GET', KEYS[11]) or ''
if filled == '' or now > tonumber(ARGV[4]) then return { now, filled, 0, 0, -1 } end

redis.call('HSET', KEYS[13], 'at', now, 'cap', ARGV[2])
local tickets, limit, token = KEYS[12], tonumber(ARGV[1]), now + tonumber(ARGV[3])
-- Runs that are parked count, too: Redis serves nobody else meanwhile.
local steps = 1000
for _, id in ipairs(redis.call('ZRANGEBYSCORE', later, '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', later, id)
  local tenant, _, _, score = factsOf(id)
  if tenant then makeReady(id, tenant, score) else unpark(id) end
end

local admitted = redis.call('ZRANGEBYSCORE', tickets, '-inf', now, 'LIMIT', 0, limit)
for _, run in ipairs(admitted) do redis.call('ZADD', tickets, token, run) end

local function leave(tenant, time)
  redis.call('ZREM', tenants, tenant)
  redis.call('HSET', virtual, tenant, time)
end

local function take(run, tenant, connection)
  hold(run, tenant, connection)
  redis.call('ZADD', tickets, token, run)
  admitted[#admitted + 1] = run
  local _, gap = connectionLimits(connection)
  if gap == 0 then return end
  redis.call('HSET', starts, connection, now + gap)
  if redis.call('SISMEMBER', parking, connection) == 1 then redis.call('ZADD', later, now + gap, connection) end
end

local places = tonumber(ARGV[2]) - occupied('global')
local seen, aside = {}, {}
while places > 0 and #admitted < limit and steps > 0 do
  steps = steps - 1
  local head = redis.call('ZRANGE', tenants, 0, 0, 'WITHSCORES')
  local tenant, start = head[1], tonumber(head[2])
  if not tenant then break end
  local weight, cap = tenantLimits(tenant)
  local first = redis.call('ZRANGE', ready .. tenant, 0, 0, 'WITHSCORES')
  local run, score = first[1], first[2]
  if not run or occupied('tenant:' .. tenant) >= cap then
    leave(tenant, start)
  else
    redis.call('ZREM', ready .. tenant, run)
    local _, sync, connection = factsOf(run)
    local bar = connection and barOf(connection)
    if not connection then
      -- What was lost of it the sweep offers again.
    elseif seen[sync] then
      aside[#aside + 1] = { run, tenant, score }
    elseif bar then
      park(run, connection, score, bar)
    else
      seen[sync] = true
      take(run, tenant, connection)
      places = places - 1
      redis.call('HSET', virtual, 'system', start)
      redis.call('ZADD', tenants, start + 1 / weight, tenant)
    end
  end
end

-- A second run of a sync waits for the next call: its sync has at most one run past `queued`.
for _, run in ipairs(aside) do makeReady(unpack(run)) end

local soonest = redis.call('ZRANGE', later, 0, 0, 'WITHSCORES')[2]
local isMore = #admitted == limit or steps == 0
return { now, filled, token, isMore and 1 or 0, soonest and math.max(0, soonest - now) or -1, unpack(admitted) }
