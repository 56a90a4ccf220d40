-- rehearse: runs once each command that these files run, on keys of its own, and says which of them the user may not.
-- KEYS  1 rehearsal: prefix of its keys, and a channel; nothing is left of them
-- Result names of commands that were refused for want of a right; whatever else is wrong with them is no concern here
local hash, set, sorted, text = KEYS[1] .. ':hash', KEYS[1] .. ':set', KEYS[1] .. ':sorted', KEYS[1] .. ':text'
local attempts = {
  { 'TIME' }, { 'INFO', 'memory' }, { 'PUBLISH', KEYS[1], '' },
  { 'SET', text, '', 'PX', 1000 }, { 'GET', text }, { 'EXISTS', text }, { 'PEXPIRE', text, 1000 }, { 'DEL', text },
  { 'HSET', hash, 'f', '' }, { 'HGET', hash, 'f' }, { 'HMGET', hash, 'f' }, { 'HDEL', hash, 'f' },
  { 'SADD', set, 'm' }, { 'SCARD', set }, { 'SISMEMBER', set, 'm' }, { 'SMEMBERS', set }, { 'SREM', set, 'm' },
  { 'ZADD', sorted, 1, 'm' }, { 'ZCARD', sorted }, { 'ZRANGE', sorted, 0, 0 }, { 'ZRANGEBYSCORE', sorted, 0, 1 },
  { 'ZRANK', sorted, 'm' }, { 'ZSCORE', sorted, 'm' }, { 'ZREM', sorted, 'm' },
}
local refused = {}
for _, attempt in ipairs(attempts) do
  local reply = redis.pcall(unpack(attempt))
  local err = type(reply) == 'table' and reply.err or ''
  if string.find(err, 'user executing the script') or string.find(err, 'ACL failure') then
    refused[#refused + 1] = string.lower(attempt[1])
  end
end
return refused
