-- explainRun: where a run waits, and for what; changes nothing.
-- KEYS  1-10 as in waiting.lua  11 admission: hash 'at' -> Redis ms, 'cap': the last call of admit
-- ARGV  1 run id  2 tenant id  3 connection id
-- Result { 'active', 'ready', 'parked', 'later' or 'absent', position or -1, ms until it or its source goes on or -1,
--        1 if the source cools down, places of all held and their cap or -1, of the tenant held and cap, of the connection
--        held and cap, ms since the last call of admit or -1 }
local run, tenant, connection = ARGV[1], ARGV[2], ARGV[3]
local function remaining(id)
  local at = redis.call('ZSCORE', later, id)
  return at and math.max(0, at - now) or -1
end

-- How many runs fair queueing starts before it, and itself, if nothing comes and no cap is in the way.
local function positionOf(rank)
  local own = redis.call('ZSCORE', tenants, tenant)
  if not own then return rank + 1 end
  local position, start = rank + 1, tonumber(own) + rank / tenantLimits(tenant)
  local others = redis.call('ZRANGE', tenants, 0, 999, 'WITHSCORES')
  for i = 1, #others, 2 do
    local ahead = start - tonumber(others[i + 1])
    if others[i] ~= tenant and ahead >= 0 then
      local starts = ahead * tenantLimits(others[i])
      -- At the same virtual time the least id is first.
      starts = others[i] < tenant and math.floor(starts) + 1 or math.ceil(starts)
      position = position + math.min(starts, redis.call('ZCARD', ready .. others[i]))
    end
  end
  return position
end

local state, position, wait = 'absent', -1, -1
local rank = redis.call('ZRANK', ready .. tenant, run)
if redis.call('SISMEMBER', active .. 'global', run) == 1 then
  state = 'active'
elseif rank then
  state, position = 'ready', positionOf(rank)
elseif redis.call('ZSCORE', parked .. connection, run) then
  state, wait = 'parked', remaining(connection)
elseif redis.call('ZSCORE', later, run) then
  state, wait = 'later', remaining(run)
end

local _, tenantCap = tenantLimits(tenant)
local connectionCap, _, cool = connectionLimits(connection)
local at, cap = unpack(redis.call('HMGET', KEYS[11], 'at', 'cap'))
return {
  state, position, wait, cool > now and 1 or 0,
  occupied('global'), tonumber(cap or -1),
  occupied('tenant:' .. tenant), tenantCap,
  occupied('connection:' .. connection), connectionCap,
  at and now - at or -1,
}
