-- KEYS[2] the entry; ARGV: 2 field, 3 version before the load, 4 fence of the key, 5 position, 6 kept, in ms, 7 tags and bytes.
-- Answers whether it was written.
local stamp, position = tonumber(ARGV[3]), ARGV[5]
local fence, floor = unpack(redis.call('HMGET', KEYS[1], ARGV[4], 'f'))
if math.max(removed, expired) > stamp or (floor and floor > position) then return 0 end
if fence and (tonumber(string.sub(fence, 1, 16)) > stamp or string.sub(fence, 17) > position) then return 0 end
local tags = tonumber(string.sub(ARGV[7], 1, 2), 16)
for tag = 0, tags - 1 do
  local stripe = string.sub(ARGV[7], 3 + 4 * tag, 6 + 4 * tag)
  local graves = redis.call('HMGET', KEYS[1], 'R' .. stripe, 'X' .. stripe, 'F' .. stripe)
  if math.max(tonumber(graves[1]) or 0, tonumber(graves[2]) or 0) > stamp then return 0 end
  if graves[3] and graves[3] > position then return 0 end
end
local before = redis.call('HGET', KEYS[2], ARGV[2])
if before and tonumber(string.sub(before, 1, 16)) > stamp then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], number(stamp) .. number(now()) .. ARGV[7])
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[6]) then redis.call('PEXPIRE', KEYS[2], ARGV[6]) end
return 1
