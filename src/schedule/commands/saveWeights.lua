-- saveWeights: replaces the tenants' weights.
-- KEYS  1 weights: hash tenant id -> weight, 1 if absent
-- ARGV  pairs: tenant id, weight
-- Result number of weights
-- Invariant 5: while two tenants wait, their shares of the starts are as their weights.
redis.call('DEL', KEYS[1])
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return #ARGV / 2
