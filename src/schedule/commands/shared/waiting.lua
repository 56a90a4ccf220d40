-- waiting: the orders in which runs wait, the places they wait for, and what moves them; written before each command that
-- does so.
-- KEYS  1 tenants: zset tenant id -> virtual time  2 virtual: hash tenant id or 'system' -> virtual time
--       3 runs: hash run id -> 'tenant sync connection score'
--       4 prefix of ready:<tenant> and  5 of parked:<connection>: zsets run id -> virtual deadline
--       6 parking: set of the connections with parked runs
--       7 later: zset run or connection id -> Redis ms at which it may go on
--       8 prefix of active:global, active:tenant:<tenant> and active:connection:<connection>: sets of run ids
--       9 limits: hash tenant id -> 'version weight cap', connection id -> 'version cap gap cool': least ms between two
--         starts, 0 for none, and the Redis ms until which none starts
--       10 starts: hash connection id -> Redis ms before which no other run of it starts
-- A run that waits is ready, or parked because its connection has no room, or due later. A tenant with ready runs is in
-- `tenants`, unless it has no room; a connection whose parked runs wait for a time and not for a place is in `later`.
local tenants, virtual, runs, ready, parked, parking, later, active, limits, starts = unpack(KEYS, 1, 10)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function factsOf(run)
  return string.match(redis.call('HGET', runs, run) or '', '^(%S+) (%S+) (%S+) (%S+)$')
end

-- What a new tenant or connection has is also the default of its row.
local function tenantLimits(tenant)
  local weight, cap = string.match(redis.call('HGET', limits, tenant) or '', '^%S+ (%S+) (%S+)$')
  return tonumber(weight or 1), tonumber(cap or 10)
end

local function connectionLimits(connection)
  local cap, gap, cool = string.match(redis.call('HGET', limits, connection) or '', '^%S+ (%S+) (%S+) (%S+)$')
  return tonumber(cap or 4), tonumber(gap or 0), tonumber(cool or 0)
end

local function occupied(whose) return redis.call('SCARD', active .. whose) end

-- What keeps the connection's runs: the Redis ms at which one may start, 0 until a place is freed, nil for nothing. No
-- clock that was set back makes a start wait for longer than one gap.
local function barOf(connection)
  local cap, gap, cool = connectionLimits(connection)
  if cool > now then return cool end
  if gap > 0 then
    local start = math.min(tonumber(redis.call('HGET', starts, connection) or 0), now + gap)
    if start > now then return start end
  end
  if occupied('connection:' .. connection) >= cap then return 0 end
  return nil
end

-- Invariant 5: a tenant that comes back starts at the system's virtual time, so that an idle one saves up nothing.
local function activate(tenant)
  if redis.call('ZSCORE', tenants, tenant) then return end
  local own = tonumber(redis.call('HGET', virtual, tenant) or 0)
  local system = tonumber(redis.call('HGET', virtual, 'system') or 0)
  redis.call('ZADD', tenants, math.max(own, system), tenant)
end

local function makeReady(run, tenant, score)
  redis.call('ZADD', ready .. tenant, score, run)
  activate(tenant)
end

local function park(run, connection, score, bar)
  redis.call('ZADD', parked .. connection, score, run)
  redis.call('SADD', parking, connection)
  if bar > 0 then redis.call('ZADD', later, bar, connection) end
end

local function forgetEmpty(connection)
  if redis.call('EXISTS', parked .. connection) == 1 then return end
  redis.call('SREM', parking, connection)
  redis.call('ZREM', later, connection)
end

-- Invariant 12: lets as many parked runs go as there is room for now, the least first.
local function unpark(connection)
  if redis.call('SISMEMBER', parking, connection) == 0 then return 0 end
  local bar = barOf(connection)
  if bar and bar > 0 then
    redis.call('ZADD', later, bar, connection)
    return 0
  end
  redis.call('ZREM', later, connection)
  if bar then return 0 end
  local room = math.min(connectionLimits(connection) - occupied('connection:' .. connection), 100)
  local heads = redis.call('ZRANGE', parked .. connection, 0, room - 1, 'WITHSCORES')
  for i = 1, #heads, 2 do
    redis.call('ZREM', parked .. connection, heads[i])
    local tenant = factsOf(heads[i])
    if tenant then makeReady(heads[i], tenant, heads[i + 1]) end
  end
  forgetEmpty(connection)
  return #heads / 2
end

local function hold(run, tenant, connection)
  redis.call('SADD', active .. 'tenant:' .. tenant, run)
  redis.call('SADD', active .. 'connection:' .. connection, run)
  return redis.call('SADD', active .. 'global', run)
end

-- Whoever waited for these places goes on waiting for the next thing only.
local function free(run)
  local tenant, _, connection = factsOf(run)
  local freed = redis.call('SREM', active .. 'global', run)
  if not tenant then return freed end
  redis.call('SREM', active .. 'tenant:' .. tenant, run)
  redis.call('SREM', active .. 'connection:' .. connection, run)
  if redis.call('EXISTS', ready .. tenant) == 1 then activate(tenant) end
  unpark(connection)
  return freed
end

-- Takes places out that no run holds: who freed them could not tell whose they were, where the runs' facts had been lost.
local function forgetPlaceless(whose)
  for _, run in ipairs(redis.call('SMEMBERS', active .. whose)) do
    if redis.call('SISMEMBER', active .. 'global', run) == 0 then redis.call('SREM', active .. whose, run) end
  end
end

local function stopWaiting(run)
  redis.call('ZREM', later, run)
  local tenant, _, connection = factsOf(run)
  if not tenant then return end
  if redis.call('ZREM', parked .. connection, run) == 1 then forgetEmpty(connection) end
  redis.call('ZREM', ready .. tenant, run)
end
