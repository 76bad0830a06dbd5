-- KEYS[3] the entry; ARGV: 2 the type of the value, 3 version before the load, 4 fence of the key, 5 position, 6 kept, in ms, 7 tags and
-- bytes. Answers whether it was written.
local stamp, position, kept = tonumber(ARGV[3]), ARGV[5], 1000 * ARGV[6]
local fence, floor, types = unpack(redis.call('HMGET', KEYS[1], ARGV[4], 'f', 'p'))
if math.max(removed, expired) > stamp or (floor and floor > position) then return 0 end
if fence and (tonumber(string.sub(fence, 1, 16)) > stamp or string.sub(fence, 17) > position) then return 0 end
local tags = tonumber(string.sub(ARGV[7], 1, 2), 16)
for tag = 0, tags - 1 do
  local stripe = string.sub(ARGV[7], 3 + 4 * tag, 6 + 4 * tag)
  local graves = redis.call('HMGET', KEYS[1], 'R' .. stripe, 'X' .. stripe, 'F' .. stripe)
  if math.max(tonumber(graves[1]) or 0, tonumber(graves[2]) or 0) > stamp then return 0 end
  if graves[3] and graves[3] > position then return 0 end
end
local entry = KEYS[3] .. '@' .. ARGV[2]
local before = redis.call('GETRANGE', entry, 0, 15)
if before ~= '' and tonumber(before) > stamp then return 0 end
-- An invalidation takes the entries of all types away, so it must know of this one, for as long as it may have any. With some to spare, so
-- that not every write writes it down.
local moment, others, listed = now(), '', 0
for at = 1, #(types or ''), 32 do
  local last = tonumber(string.sub(types, at + 16, at + 31))
  if string.sub(types, at, at + 15) == ARGV[2] then
    listed = last
  elseif last >= moment then
    others = others .. string.sub(types, at, at + 31)
  end
end
if listed < moment + kept then
  redis.call('HSET', KEYS[1], 'p', ARGV[2] .. number(math.min(moment + 2 * kept + 1000000, 9000000000000000)) .. others)
end
redis.call('SET', entry, number(stamp) .. number(moment) .. number(0) .. ARGV[7], 'PX', ARGV[6])
return 1
