-- KEYS[3..] entries, ARGV: 2 the type of the values, 3 whether what the cache shows was not to be found. Answers the version, and for
-- each entry its bytes, its age and whether it has expired.
if ARGV[3] == '1' then show() end
local answer, moment = { version }, nil
for at = 3, #KEYS do
  local value = redis.call('GET', KEYS[at] .. '@' .. ARGV[2])
  if value then
    local stamp, tags = tonumber(string.sub(value, 1, 16)), tonumber(string.sub(value, 49, 50), 16)
    local gone, old = removed, math.max(expired, tonumber(string.sub(value, 33, 48)))
    if tags > 0 then
      local fields = {}
      for tag = 0, tags - 1 do
        local stripe = string.sub(value, 51 + 4 * tag, 54 + 4 * tag)
        fields[2 * tag + 1], fields[2 * tag + 2] = 'R' .. stripe, 'X' .. stripe
      end
      local graves = redis.call('HMGET', KEYS[1], unpack(fields))
      for tag = 1, 2 * tags, 2 do
        gone, old = math.max(gone, tonumber(graves[tag]) or 0), math.max(old, tonumber(graves[tag + 1]) or 0)
      end
    end
    if gone > stamp then
      value = false
    else
      moment = moment or now()
      value = { value, moment - tonumber(string.sub(value, 17, 32)), old > stamp and 1 or 0 }
    end
  end
  answer[at - 1] = value
end
return answer
