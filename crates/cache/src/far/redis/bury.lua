-- ARGV: 2 'r' removes and 'x' expires, 3 how far a database must have come, 4 what: 'keys' (KEYS[2..], their fences ARGV[5..]),
-- 'tags' (their stripes ARGV[5..]), 'everything'. Answers the version at which.
version = math.max(version + 1, now())
redis.call('HSET', KEYS[1], 'v', number(version))
local removes, floor = ARGV[2] == 'r', ARGV[3]
if ARGV[4] == 'keys' then
  for at = 2, #KEYS do
    local fence = redis.call('HGET', KEYS[1], ARGV[at + 3])
    redis.call('HSET', KEYS[1], ARGV[at + 3], number(version) .. further(fence and string.sub(fence, 17), floor))
    if removes then
      redis.call('UNLINK', KEYS[at])
    elseif redis.call('EXISTS', KEYS[at]) == 1 then
      redis.call('HSET', KEYS[at], 'x', number(version))
    end
  end
elseif ARGV[4] == 'tags' then
  for at = 5, #ARGV do
    redis.call('HSET', KEYS[1], (removes and 'R' or 'X') .. ARGV[at], number(version))
    redis.call('HSET', KEYS[1], 'F' .. ARGV[at], further(redis.call('HGET', KEYS[1], 'F' .. ARGV[at]), floor))
  end
else
  redis.call('HSET', KEYS[1], ARGV[2], number(version), 'f', further(redis.call('HGET', KEYS[1], 'f'), floor))
end
return version
