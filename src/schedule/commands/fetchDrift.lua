-- fetchDrift: how many syncs were found missing or late since the index was lost for the last time.
-- KEYS  1 drift
-- Result { missing, late }
local missing, late = unpack(redis.call('HMGET', KEYS[1], 'missing', 'late'))
return { tonumber(missing or 0), tonumber(late or 0) }
