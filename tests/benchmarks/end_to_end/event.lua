-- For wrk: sends the request of a file again and again, and in the end writes a line of JSON with what came of it.
-- The name of the file comes after "--" on the command line.

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local request = file:read("*a")
  file:close()
  -- wrk formats its request once, before it starts: so these are the bytes that it sends, and Lua has no part in it.
  wrk.format = function() return request end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "refused": %d, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
