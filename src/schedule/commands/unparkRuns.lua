-- unparkRuns: lets go who is parked where there is room, whatever was lost that should have done so.
-- KEYS  1-10 as in waiting.lua  11 wake channel
-- Result number of runs that were let go
-- Invariant 8: at rest the places are exactly the runs that hold them. Invariant 12: nobody is parked where there is room.
local let = 0
for _, connection in ipairs(redis.call('SMEMBERS', parking)) do
  forgetPlaceless('connection:' .. connection)
  let = let + unpark(connection)
end
if let > 0 then redis.call('PUBLISH', KEYS[11], 'ready') end
return let
