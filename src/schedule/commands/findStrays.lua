-- findStrays: which of these queued runs are to be offered: those that do not wait with this score, and hold no place.
-- KEYS  1-10 as in waiting.lua
-- ARGV  quintuples: run id, tenant id, sync id, connection id, score
-- Result run ids; one that waits for a time is among them, whom an offer only tells its score
-- Invariant 8: at rest the places are exactly the runs that hold them.
local strays, seen = {}, {}
for i = 1, #ARGV, 5 do
  local run, tenant, _, connection, score = unpack(ARGV, i, i + 4)
  if tonumber(redis.call('ZSCORE', ready .. tenant, run)) == tonumber(score) then
    if not seen[tenant] and not redis.call('ZSCORE', tenants, tenant) then
      forgetPlaceless('tenant:' .. tenant)
      activate(tenant)
    end
    seen[tenant] = true
  elseif tonumber(redis.call('ZSCORE', parked .. connection, run)) ~= tonumber(score)
    and redis.call('SISMEMBER', active .. 'global', run) == 0 then
    strays[#strays + 1] = run
  end
end
return strays
