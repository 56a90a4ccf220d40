-- publishDue: writes when to look at syncs next, as their committed rows say. A publication of an older version of the
-- sync is ignored; one of the same version that comes late can only make a look too early, which is harmless.
-- KEYS  1 due  2 prefix of the version hashes (sync id -> newest version seen; many small hashes cost a third of a big
--       one)  3 wake channel
-- ARGV  1 ms within which a look wakes the dispatchers, then triples: sync id, version, next due ms or '' for none
-- Result number of publications that were not stale
-- Invariant 1: a sync with a next time is always in `due`. Invariant 2: nobody makes a look later than rows say.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local soon = now + tonumber(ARGV[1])
local written, wakes = 0, false
for i = 2, #ARGV, 3 do
  local id, version, due = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local bucket = KEYS[2] .. string.sub(id, -4)
  if version >= tonumber(redis.call('HGET', bucket, id) or 0) then
    written = written + 1
    if due == '' then
      redis.call('ZREM', KEYS[1], id)
      redis.call('HDEL', bucket, id)
    else
      redis.call('ZADD', KEYS[1], due, id)
      redis.call('HSET', bucket, id, version)
      if tonumber(due) <= soon then wakes = true end
    end
  end
end
if wakes then redis.call('PUBLISH', KEYS[3], 'due') end
return written
