-- saveTenants: lets admission go by what the rows of tenants say. That of an older version is ignored.
-- KEYS  1-10 as in waiting.lua  11 wake channel
-- ARGV  quadruples: tenant id, version, weight, cap
-- Result number of tenants whose limits were not stale
-- Invariant 5: while two tenants wait, their shares of the starts are as their weights.
local saved = 0
for i = 1, #ARGV, 4 do
  local tenant, version, weight, cap = unpack(ARGV, i, i + 3)
  local known = string.match(redis.call('HGET', limits, tenant) or '0', '^%S+')
  if tonumber(version) >= tonumber(known) then
    saved = saved + 1
    redis.call('HSET', limits, tenant, version .. ' ' .. weight .. ' ' .. cap)
    if redis.call('EXISTS', ready .. tenant) == 1 then activate(tenant) end
  end
end
if saved > 0 then redis.call('PUBLISH', KEYS[11], 'ready') end
return saved
