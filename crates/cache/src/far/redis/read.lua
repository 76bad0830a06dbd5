-- KEYS[2..] entries, ARGV[2] the field of the values' type. Answers the version, and for each entry its bytes, its age and
-- whether it has expired.
local answer, moment = { version }, nil
for at = 2, #KEYS do
  local entry = redis.call('HMGET', KEYS[at], ARGV[2], 'x')
  local value = entry[1]
  if value then
    local stamp, tags = tonumber(string.sub(value, 1, 16)), tonumber(string.sub(value, 33, 34), 16)
    local gone, old = removed, math.max(expired, tonumber(entry[2]) or 0)
    if tags > 0 then
      local fields = {}
      for tag = 0, tags - 1 do
        local stripe = string.sub(value, 35 + 4 * tag, 38 + 4 * tag)
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
  answer[at] = value
end
return answer
