-- Compare and set, key by key. KEYS: the record keys; with streams, then the hash of the ids of the entries that
-- the records came by, and the streams whose entries are acknowledged here.
-- ARGV: the number of records; the channel for notices ('' = none); the length of the key prefix; the length of the
-- longest record; whether records expire ('1'); the consumer group ('' = no streams); until when this may be executed,
-- in milliseconds since the epoch by the clock here. Then columns, a value for each record: what is expected ('' =
-- absent, '<' = that, or what came by no stream and is plainly earlier); the record; where they expire the time, in
-- milliseconds since the epoch ('' = never); with streams the expected id, the new id, and how many entries to
-- acknowledge: '1 2 2 1' are two of the first stream, then one of the second. Their ids stand behind all columns.
-- Answers with the time here, and 'late' where that is all; else with why a notice could not be published ('' = all
-- were, or none was to be), and in triples for the records that were not written: index, what was found ('' =
-- nothing), its id ('' = none); or instead of what was found 1 where the key holds the record already, 2 where it holds
-- another Redis type, 3 where it was not looked at, because enough had been.
-- Before Redis 7, which was the first to tell its version, a script that has asked for the time may write only so.
if not redis.REDIS_VERSION_NUM and redis.replicate_commands then redis.replicate_commands() end
-- A local is found sooner than a global, and these are asked for with every record.
local KEYS, ARGV, call, pcall = KEYS, ARGV, redis.call, redis.pcall
local n, channel, expires, group = tonumber(ARGV[1]), ARGV[2], ARGV[5] == '1', ARGV[6]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Its client has given it up, and may have written the same text again meanwhile: to find that proves nothing.
if now > tonumber(ARGV[7]) then return {now, 'late'} end
local expected, records, expiries = 7, 7 + n, 7 + 2 * n
local refused, rest, looked_at = {now, ''}, {}, {}
-- Bytes of records that are not what was expected: to look at more of them would block the server for too long.
local enough, seen = 4194304, 0

-- Nearly always what is expected is there, and there is nothing to do but to write. What is made below would be made
-- with each call, and costs as much as all of this.
local is_plain = not expires and channel == '' and group == ''
for i = 1, n do
  local key, wanted, record = KEYS[i], ARGV[expected + i], ARGV[records + i]
  local found = seen < enough and (pcall('GET', key) or '')
  if type(found) == 'table' and string.sub(found.err, 1, 9) ~= 'WRONGTYPE' then return found end
  if is_plain and found ~= record and found == (wanted == '<' and '' or wanted) then
    call('SET', key, record)
  else
    rest[#rest + 1], looked_at[i] = i, found
    if type(found) == 'string' and found ~= wanted then seen = seen + #found end
  end
end
if #rest == 0 then return refused end

local prefix, longest = tonumber(ARGV[3]), tonumber(ARGV[4])
local hash = group ~= '' and KEYS[n + 1]
local expected_ids = expires and expiries + n or expiries
local ids, settled = expected_ids + n, expected_ids + 2 * n
local failure = nil

-- The time that a record begins with, where it is written as RFC 3339 has it: second, fraction, zone.
local function plain_time(text)
  local second, fraction, zone =
    string.match(text, '^{"updated":"(%d%d%d%d%-[01]%d%-%d%dT%d%d:%d%d:[0-5]%d)([.%d]*)([^"]*)","valid":')
  if second and string.sub(second, 6, 7) < '13'
    and (fraction == '' or #fraction <= 10 and string.find(fraction, '^%.%d+$'))
    and (zone == 'Z' or zone == '' or string.find(zone, '^[+-]%d%d:%d%d$')) then
    return second, fraction, zone
  end
end

-- In one zone the earlier one is that whose second is, or within a second its fraction, of as many digits.
local function is_earlier(found, record)
  local old, old_fraction, old_zone = plain_time(found)
  if not old then return false end
  local new, new_fraction, new_zone = plain_time(record)
  if not new or old_zone ~= new_zone then return false end
  if old ~= new then return old < new end
  return #old_fraction == #new_fraction and #new_fraction <= 7 and old_fraction < new_fraction
end

local function refuse(i, found, id)
  local at = #refused
  refused[at + 1], refused[at + 2], refused[at + 3] = i, found, id
end

-- To write what is gone at once would only delete what is there.
local function is_over(at)
  return at ~= '' and tonumber(at) <= now
end

local function set(key, record, at)
  if at == '' then
    call('SET', key, record)
  else
    call('SET', key, record, 'PXAT', at)
  end
end

-- Ids that follow one another and are of one stream go into one command.
local next_id, stream, first, last = settled + n + 1, nil, nil, nil

local function flush()
  for from = first or 1, last or 0, 1000 do
    local sent = pcall('XACK', KEYS[n + 1 + stream], group, unpack(ARGV, from, math.min(from + 999, last)))
    -- Where something else has taken the place of the stream, nothing is pending there.
    if type(sent) == 'table' and string.sub(sent.err, 1, 9) ~= 'WRONGTYPE' then failure = sent end
  end
  first, last = nil, nil
end

local function pass(entries, acknowledge)
  for of, count in string.gmatch(entries, '(%d+) (%d+)') do
    if acknowledge then
      if of ~= stream or last ~= next_id - 1 then
        flush()
        stream, first = of, next_id
      end
      last = next_id + count - 1
    end
    next_id = next_id + count
  end
end

local function is_later(id, than)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  local than_ms, than_sequence = string.match(than, '^(%d+)-(%d+)$')
  if not (ms and than_ms) then return true end
  if ms ~= than_ms then return tonumber(ms) > tonumber(than_ms) end
  return tonumber(sequence) > tonumber(than_sequence)
end

-- Two of the hash, at random, for each record that will expire: where its record is gone, an id serves no purpose. So
-- most of the hash is of records that are there. An error means here: not this time.
local function forget()
  local fields = pcall('HRANDFIELD', hash, -2)
  for _, field in ipairs(fields.err and {} or fields) do
    if pcall('EXISTS', field) == 0 then pcall('HDEL', hash, field) end
  end
end

for _, i in ipairs(rest) do
  local key, wanted, record = KEYS[i], ARGV[expected + i], ARGV[records + i]
  local found, is_settled = looked_at[i], false
  if not found then
    refuse(i, 3, '')
  elseif type(found) == 'table' then
    refuse(i, 2, '')
  else
    -- A string that is longer than any record is somebody else's, as one is that means something here: as good as none.
    if #found > longest or found == '<' then found = '' end
    local id = hash and found ~= '' and call('HGET', hash, key) or ''
    local at = expires and ARGV[expiries + i] or ''
    if found == record then
      refuse(i, 1, '')
      -- What we have written ourselves: it is not to go at another time than this message says, whoever set one.
      if found == wanted then set(key, record, at) end
      if hash and is_later(ARGV[ids + i], id) then call('HSET', hash, key, ARGV[ids + i]) end
      is_settled = true
    elseif found == wanted and (not hash or id == ARGV[expected_ids + i])
      or wanted == '<' and (found == '' or id == '' and not is_over(at) and is_earlier(found, record)) then
      set(key, record, at)
      if hash then
        call('HSET', hash, key, ARGV[ids + i])
        if at ~= '' then forget() end
      end
      is_settled = true
      if channel ~= '' then
        local quoted = string.gsub(string.sub(key, prefix + 1), '["\\]', '\\%0')
        local sent = pcall('PUBLISH', channel, '{"type":"' .. quoted .. '",' .. string.sub(record, 2))
        -- An account that may not publish: the records are written all the same.
        if type(sent) == 'table' then refused[2] = sent.err end
      end
    else
      refuse(i, found, id)
    end
  end
  if hash then pass(ARGV[settled + i], is_settled) end
end
flush()
return failure or refused
