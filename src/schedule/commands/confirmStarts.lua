-- confirmStarts: ends the tickets of runs that were started; they keep their places.
-- KEYS  1 tickets
-- ARGV  pairs: run id, token
-- Result number of tickets ended
-- Invariant 7: only the holder of a ticket ends it; a ticket that ran out and was handed on is somebody else's.
local ended = 0
for i = 1, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    ended = ended + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return ended
