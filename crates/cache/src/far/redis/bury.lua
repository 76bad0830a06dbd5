-- ARGV: 2 'r' removes and 'x' expires, 3 how far a database must have come, 4 what: 'keys' (KEYS[3..], their fences ARGV[5..]),
-- 'tags' (their stripes ARGV[5..]), 'everything'. Answers the version at which.
version = math.max(version + 1, now())
local removes, floor = ARGV[2] == 'r', ARGV[3]
redis.call('HSET', KEYS[1], 'v', number(version))
if ARGV[4] == 'keys' then
  local types = redis.call('HGET', KEYS[1], 'p') or ''
  for at = 3, #KEYS do
    local fence = redis.call('HGET', KEYS[1], ARGV[at + 2])
    redis.call('HSET', KEYS[1], ARGV[at + 2], number(version) .. further(fence and string.sub(fence, 17), floor))
    for of = 1, #types, 32 do
      local entry = KEYS[at] .. '@' .. string.sub(types, of, of + 15)
      if removes then
        redis.call('UNLINK', entry)
      elseif redis.call('EXISTS', entry) == 1 then
        redis.call('SETRANGE', entry, 32, number(version))
      end
    end
  end
elseif ARGV[4] == 'tags' then
  for at = 5, #ARGV do
    redis.call('HSET', KEYS[1], (removes and 'R' or 'X') .. ARGV[at], number(version))
    redis.call('HSET', KEYS[1], 'F' .. ARGV[at], further(redis.call('HGET', KEYS[1], 'F' .. ARGV[at]), floor))
  end
else
  if removes then removed = version else expired = version end
  redis.call('HSET', KEYS[1], ARGV[2], number(version), 'f', further(redis.call('HGET', KEYS[1], 'f'), floor))
end
show()
return version
