-- saveConnections: lets admission go by what the rows of connections say, and lets go who has waited for more room.
-- That of an older version is ignored.
-- KEYS  1-10 as in waiting.lua  11 wake channel
-- ARGV  quintuples: connection id, version, cap, least ms between two starts or 0, ms for which none starts
-- Result number of connections whose limits were not stale
-- Invariant 12: nobody is parked where there is room.
local saved = 0
for i = 1, #ARGV, 5 do
  local connection, version, cap, gap, coolMs = unpack(ARGV, i, i + 4)
  local known = string.match(redis.call('HGET', limits, connection) or '0', '^%S+')
  if tonumber(version) >= tonumber(known) then
    saved = saved + 1
    local cool = tonumber(coolMs) > 0 and now + tonumber(coolMs) or 0
    redis.call('HSET', limits, connection, version .. ' ' .. cap .. ' ' .. gap .. ' ' .. cool)
    unpark(connection)
  end
end
if saved > 0 then redis.call('PUBLISH', KEYS[11], 'ready') end
return saved
