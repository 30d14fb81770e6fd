-- What wrk sends: every product once, in order, again and again; all texts are made before it begins.
-- Arguments: POST or GET, how many products, edition (values as productValue of http-load.ts), token or "".
function init(args)
  local method, count, edition, token = args[1], tonumber(args[2]), tonumber(args[3]), args[4]
  local headers = {}
  if token ~= "" then headers["authorization"] = "Bearer " .. token end
  if method == "POST" then headers["content-type"] = "application/json" end
  texts = {}
  for i = 0, count - 1 do
    local id = string.format("bench-%08d", i)
    if method == "GET" then
      texts[i + 1] = wrk.format("GET", "/api/v1/products/" .. id, headers)
    else
      local body = string.format('{"product_id":"%s","price":%.2f,"stock":%d}', id, i % 1000 + edition / 100, i + edition * 7)
      texts[i + 1] = wrk.format("POST", "/api/v1/events", headers, body)
    end
  end
  at = 0
end

function request()
  at = at % #texts + 1
  return texts[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests":%d,"seconds":%.6f,"refused":%d,"broken":%d,"p50Ms":%.3f,"p99Ms":%.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
