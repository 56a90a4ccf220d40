-- advanceRefill: keeps the lease of a refill, and marks how far it has come. Without its token (Redis was emptied again,
-- or the lease ran out) nothing is marked: what was filled before may be gone.
-- KEYS  1 marker  2 refilling
-- ARGV  1 token  2 lease, ms  3 '' or what is filled now: 'places' (admission may begin) or 'all'
-- Result 1 if the caller still fills the index, else 0
-- Invariant 6: nothing is admitted before the places of running work have been counted.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
if ARGV[3] ~= '' then redis.call('SET', KEYS[1], ARGV[3]) end
if ARGV[3] == 'all' then redis.call('DEL', KEYS[2]) end
return 1
