-- postponeDue: says when to look again at claimed syncs that were not settled (locked, not due yet), or that there is
-- no such sync. Touches only what still is as the claim left it: whoever published meanwhile knows better.
-- KEYS  1 due
-- ARGV  1 token of the claim, then pairs: sync id, ms from now or '' to remove it
-- Result number of syncs changed
-- Invariant 1: a sync with a next time is always in `due`. Invariant 2: nobody makes a look later than rows say.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed = 0
for i = 2, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[1] then
    changed = changed + 1
    if ARGV[i + 1] == '' then
      redis.call('ZREM', KEYS[1], ARGV[i])
    else
      redis.call('ZADD', KEYS[1], now + tonumber(ARGV[i + 1]), ARGV[i])
    end
  end
end
return changed
