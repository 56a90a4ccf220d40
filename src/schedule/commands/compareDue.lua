-- compareDue: which of these syncs the index would look at never, or later than their rows say. One that it looks at too
-- early costs a look. Says nothing until the index is filled, nor of rows that a newer version has overtaken.
-- KEYS  1 due  2 prefix of the version hashes  3 marker  4 drift: hash 'missing' or 'late' -> how many were found so far
-- ARGV  1 for how long, in ms, a sync may be lent  2 'note' to count what is found, else ''
--       then quadruples: sync id, version, next due ms, ms until then by the database's clock
-- Result { number of syncs in the index, then pairs: sync id, 'missing' or 'late' }
-- Invariant 1: a sync with a next time is always in `due`. Invariant 2: nobody makes a look later than rows say.
local result = { redis.call('ZCARD', KEYS[1]) }
if redis.call('GET', KEYS[3]) ~= 'all' then return result end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Between the database's clock and the answer to this question.
local underWay = 1000

local function driftOf(id, version, due, wait)
  if tonumber(redis.call('HGET', KEYS[2] .. string.sub(id, -4), id) or 0) > tonumber(version) then return nil end
  local score = tonumber(redis.call('ZSCORE', KEYS[1], id) or -1)
  if score < 0 then return 'missing' end
  local latest = now + math.max(tonumber(wait), tonumber(ARGV[1])) + underWay
  -- Both: Redis' clock may be ahead, so that a look is put off by it, or behind.
  return score > tonumber(due) and score > latest and 'late' or nil
end

for i = 3, #ARGV, 4 do
  local drift = driftOf(unpack(ARGV, i, i + 3))
  if drift then
    result[#result + 1] = ARGV[i]
    result[#result + 1] = drift
    if ARGV[2] == 'note' then
      redis.call('HSET', KEYS[4], drift, tonumber(redis.call('HGET', KEYS[4], drift) or 0) + 1)
    end
  end
end
return result
