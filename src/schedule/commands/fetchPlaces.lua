-- fetchPlaces: the runs that hold a place without a ticket, at one instant.
-- KEYS  1 active:global  2 tickets
-- Result run ids
local held = {}
for _, run in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if not redis.call('ZSCORE', KEYS[2], run) then held[#held + 1] = run end
end
return held
