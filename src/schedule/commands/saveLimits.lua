-- saveLimits: lets admission go by what the rows of tenants say. That of an older version is ignored.
-- KEYS  1 limits: hash tenant id -> 'version weight'; who is absent has weight 1
-- ARGV  triples: tenant id, version, weight
-- Result number of tenants whose limits were not stale
-- Invariant 5: while two tenants wait, their shares of the starts are as their weights.
local saved = 0
for i = 1, #ARGV, 3 do
  local known = string.match(redis.call('HGET', KEYS[1], ARGV[i]) or '0', '^%S+')
  if tonumber(ARGV[i + 1]) >= tonumber(known) then
    saved = saved + 1
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2])
  end
end
return saved
