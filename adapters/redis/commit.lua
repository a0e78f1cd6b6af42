-- Compare and set, key by key. KEYS: the record keys. ARGV: the channel for notices ('' = none), the length of
-- the key prefix, the length of the longest record, then all expectations ('' = absent), then all records, then,
-- where any record expires, all expiry times in milliseconds since the epoch ('' = never).
-- Answers for the keys that were not written, as pairs: index, then what was found ('' = nothing), or 1 where
-- the key holds the record already, 2 where it holds another Redis type, 3 where it was not looked at, because
-- the answer was full.
local n = #KEYS
local channel, prefix, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local expected, records, expiries = 3, 3 + n, 3 + 2 * n
local expires = #ARGV > expiries
local refused, told, failure = {}, 0, nil

for i = 1, n do
  local key, record = KEYS[i], ARGV[records + i]
  local found = told < 4194304 and redis.pcall('GET', key)
  if type(found) == 'table' then
    if string.sub(found.err, 1, 9) ~= 'WRONGTYPE' then return found end
    refused[#refused + 1] = i
    refused[#refused + 1] = 2
  elseif told >= 4194304 then
    refused[#refused + 1] = i
    refused[#refused + 1] = 3
  else
    -- A string that is longer than any record is somebody else's: as good as none.
    if not found or #found > longest then found = '' end
    if found == ARGV[expected + i] then
      local at = expires and ARGV[expiries + i] or ''
      if at == '' then
        redis.call('SET', key, record)
      else
        redis.call('SET', key, record, 'PXAT', at)
      end
      if channel ~= '' then
        local quoted = string.gsub(string.sub(key, prefix + 1), '["\\]', '\\%0')
        local sent = redis.pcall('PUBLISH', channel, '{"type":"' .. quoted .. '",' .. string.sub(record, 2))
        -- An account that may not publish: the batch is written whole all the same, and the error is told.
        if type(sent) == 'table' then failure = sent end
      end
    else
      refused[#refused + 1] = i
      refused[#refused + 1] = found == record and 1 or found
      told = told + #found
    end
  end
end
return failure or refused
