-- beginRefill: lets one dispatcher fill an index that was lost. That only one does saves work; it is not needed.
-- KEYS  1 marker: 'places' or 'all', absent when the index is empty  2 refilling: token of who fills it
-- ARGV  1 token  2 lease, ms  3 'again' to fill it also when it is full
-- Result 1 if the caller fills it, 0 if it is filled or somebody else does
-- Invariant 6: nothing is admitted before the places of running work have been counted.
if ARGV[3] ~= 'again' and redis.call('GET', KEYS[1]) == 'all' then return 0 end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
