-- claimDue: lends the caller the syncs whose time to be looked at has come. Each is put off by the length of the
-- lease, so that those of a dead caller come back by themselves.
-- KEYS  1 due: zset sync id -> Redis ms at which to look at it
-- ARGV  1 limit  2 lease, ms  3 Redis ms after which the caller has given up: a late call does nothing
-- Result { Redis ms now, token of this claim, ms until the next member or -1, sync id... }
-- Invariant 1: a sync with a next time is always in `due`; a claim moves it and never removes it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[3]) then return { now, 0, -1 } end

local token = now + tonumber(ARGV[2])
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
local moves = {}
for _, id in ipairs(ids) do
  moves[#moves + 1] = token
  moves[#moves + 1] = id
end
if #moves > 0 then redis.call('ZADD', KEYS[1], 'XX', unpack(moves)) end

local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local wait = -1
if head[2] then wait = math.max(0, tonumber(head[2]) - now) end
return { now, token, wait, unpack(ids) }
