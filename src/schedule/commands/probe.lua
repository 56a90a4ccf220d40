-- probe: proves that the server takes our writes, and says what it does when it is full. A full one, or a replica, answers
-- every question and changes nothing.
-- KEYS  1 probe: gone after a moment  2 marker: not touched; of a slot that is on the move a cluster serves single keys only
-- Result { Redis ms now, its maxmemory-policy or '' }
redis.call('SET', KEYS[1], '', 'PX', 1)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return { now, string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:(%S+)') or '' }
