/**
 * What runs inside Redis (7 or later, Lua): all that has to be done in one step. The library's name has its
 * version, so that two versions of the service can use one Redis. Numbers stay the text that they came as: Lua
 * would make 49.990000000000002 of 49.99.
 *
 *   ps1_claim  sink | identity, instance, lease ms, an instance that is no more, the generation before or '', its last seq
 *                                                         → seq, safe, epoch, newest seq, newest run | an error
 *   ps1_write  [sink,] product … | epoch, field × 7 …     → how many were newer, −1 = the epoch is not the writer's
 *   ps1_move   sink | epoch, seq, safe, lease ms [, newest seq, newest run]  → 1, 0 = the epoch is not the writer's
 *   ps1_leave  sink | epoch                               → gives the lease back
 *
 * The sink's own key is a hash: identity, seq, safe, newest_seq, newest_run, epoch, instance, lease_until (ms by
 * the server's clock).
 * A product's is a hash with the columns of the other sinks; what is unknown is not there.
 */
export const LIBRARY = `#!lua name=product_service_1
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

redis.register_function('ps1_claim', function(keys, args)
  local key, identity, instance, lease = keys[1], args[1], args[2], tonumber(args[3])
  local known = redis.call('HMGET', key, 'identity', 'seq', 'safe', 'epoch', 'instance', 'lease_until',
    'newest_seq', 'newest_run')
  local seq, newest = known[2] or '0', known[7] or '0'
  local last = math.max(tonumber(seq), tonumber(newest))
  local own = known[1] == identity or (known[1] == args[5] and last <= tonumber(args[6]))
  if known[1] and not own then return redis.error_reply('FOREIGN of another data folder') end
  if known[5] and known[5] ~= '' and known[5] ~= instance and known[5] ~= args[4] and tonumber(known[6]) > now() then
    return redis.error_reply('TAKEN ' .. known[5])
  end
  local epoch = tonumber(known[4] or '0') + 1
  redis.call('HSET', key, 'identity', identity, 'seq', seq, 'safe', known[3] or '0',
    'epoch', string.format('%.0f', epoch), 'instance', instance,
    'lease_until', string.format('%.0f', now() + lease))
  return { seq, known[3] or '0', string.format('%.0f', epoch), newest, known[8] or '' }
end)

local names = { 'price', 'stock', 'price_at', 'stock_at', 'listed', 'seq', 'updated_at' }

redis.register_function('ps1_write', function(keys, args)
  local first = 1
  if args[1] ~= '' then
    first = 2
    if redis.call('HGET', keys[1], 'epoch') ~= args[1] then return -1 end
  end
  local newer = {}
  for k = first, #keys do
    local at = 1 + (k - first) * 7
    local seq = redis.call('HGET', keys[k], 'seq')
    newer[k] = not seq or tonumber(seq) < tonumber(args[at + 6])
  end
  local written = 0
  for k = first, #keys do
    if newer[k] then
      local at = 1 + (k - first) * 7
      local set, absent = {}, {}
      for i = 1, 7 do
        local value = args[at + i]
        if value == '' then
          absent[#absent + 1] = names[i]
        else
          set[#set + 1] = names[i]
          set[#set + 1] = value
        end
      end
      if #absent > 0 then redis.call('HDEL', keys[k], unpack(absent)) end
      redis.call('HSET', keys[k], unpack(set))
      written = written + 1
    end
  end
  return written
end)

redis.register_function('ps1_move', function(keys, args)
  local key = keys[1]
  if redis.call('HGET', key, 'epoch') ~= args[1] then return 0 end
  if tonumber(redis.call('HGET', key, 'seq')) < tonumber(args[2]) then
    redis.call('HSET', key, 'seq', args[2], 'safe', args[3])
  end
  if args[5] then redis.call('HSET', key, 'newest_seq', args[5], 'newest_run', args[6]) end
  redis.call('HSET', key, 'lease_until', string.format('%.0f', now() + tonumber(args[4])))
  return 1
end)

redis.register_function('ps1_leave', function(keys, args)
  if redis.call('HGET', keys[1], 'epoch') ~= args[1] then return 0 end
  redis.call('HSET', keys[1], 'instance', '', 'lease_until', '0')
  return 1
end)
`;

/** Fields of a product, in the order in which ps1_write takes them. */
export const PRODUCT_FIELDS = 7;
