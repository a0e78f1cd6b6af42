-- Compare and set, key by key. KEYS: the record keys. ARGV: the channel for notices ('' = none), the length of
-- the key prefix, then all expectations ('' = absent), then all records, then, where any record expires,
-- all expiry times in milliseconds since the epoch ('' = never).
-- Answers for the keys that were not written, as pairs: index, then what was found ('' = nothing), or 1 where
-- the key holds the record already, or 2 where it holds another Redis type.
local n = #KEYS
local channel, prefix = ARGV[1], tonumber(ARGV[2])
local expires = #ARGV > 2 + 2 * n
local refused = {}

for i = 1, n do
  local key, record = KEYS[i], ARGV[2 + n + i]
  local found = redis.pcall('GET', key)
  if type(found) == 'table' then
    if string.sub(found.err, 1, 9) ~= 'WRONGTYPE' then return found end
    refused[#refused + 1] = i
    refused[#refused + 1] = 2
  elseif (found or '') == ARGV[2 + i] then
    local at = expires and ARGV[2 + 2 * n + i] or ''
    if at == '' then
      redis.call('SET', key, record)
    else
      redis.call('SET', key, record, 'PXAT', at)
    end
    if channel ~= '' then
      local quoted = string.gsub(string.sub(key, prefix + 1), '["\\]', '\\%0')
      redis.call('PUBLISH', channel, '{"type":"' .. quoted .. '",' .. string.sub(record, 2))
    end
  else
    refused[#refused + 1] = i
    refused[#refused + 1] = found == record and 1 or found or ''
  end
end
return refused
