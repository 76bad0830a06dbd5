-- KEYS[1] is the cache's own hash: v its version, r and x the versions at which everything was removed and expired, f how far a
-- database must have come, id the primary it was made on, p the types that values were written of and until when there may be any,
-- k<stripe> the fences of keys, R<stripe> X<stripe> F<stripe> the same of tags. KEYS[2] shows v, r, x and id to who needs no more.
-- ARGV[1] is the primary that the caller speaks to.
local function number(n) return string.format('%016.0f', n) end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
local function further(one, other)
  if one and one > other then return one end
  return other
end
local own = redis.call('HMGET', KEYS[1], 'v', 'id', 'r', 'x')
local version, removed, expired = tonumber(own[1]), tonumber(own[3]) or 0, tonumber(own[4]) or 0
local function show() redis.call('SET', KEYS[2], number(version) .. number(removed) .. number(expired) .. ARGV[1]) end
if not version or own[2] ~= ARGV[1] then
  -- New, lost, or on another primary, which may not know the latest invalidations: nothing in it is believed.
  version = math.max((version or 0) + 1, now())
  removed = version
  redis.call('HSET', KEYS[1], 'v', number(version), 'r', number(version), 'id', ARGV[1])
  show()
end
