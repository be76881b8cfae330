#!/usr/bin/env bash
# Measures the HTTP port of three nodes on loopback, beside gRPC's in the same run:
# - puts and gets of 256 B in turns over keep-alive, 64 in flight, against each member one after the other;
# - the p99 of puts by gRPC, without and with 2,000 idle connections to the leader's HTTP port, in turns.
#
#   scripts/bench/http.sh [pairs=5] [duration=8s] [raftkvd and raftkv_bench of: build/release]
#
# Needs wrk (apt-get install wrk). Targets: at least 5,000 ops/s with a p99 below 50 ms and half of what gRPC reaches;
# a p99 of puts beside the idle ones within 10 %. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly PAIRS=${1:-5} DURATION=${2:-8s} BUILD=${3:-build/release}
readonly RAFTKVD=$BUILD/server/raftkvd BENCH=$BUILD/client/bench/raftkv_bench
readonly IN_FLIGHT=64 IDLE=2000
readonly MEMBERS=n1=127.0.0.1:23801,n2=127.0.0.1:23802,n3=127.0.0.1:23803

fail() {
  echo "http.sh: $1" >&2
  exit 1
}
[[ $PAIRS =~ ^[1-9][0-9]*$ ]] || fail "\"$PAIRS\" is no number of pairs"
[[ $DURATION =~ ^[1-9][0-9]*s$ ]] || fail "\"$DURATION\" is no duration in seconds, such as 8s"
for program in "$RAFTKVD" "$BENCH"; do
  [[ -x $program ]] || fail "$program is not built"
done
command -v wrk >/dev/null || fail "wrk is missing: apt-get install wrk"

data=$(mktemp -d)
pids=()
stop() {
  kill "${pids[@]}" 2>/dev/null || true
  wait "${pids[@]}" 2>/dev/null || true
}
trap 'stop; rm -rf "$data"' EXIT

# bench <endpoints> <bench arguments>...: ops/s and p99 in ms, and the number of errors.
bench() {
  "$BENCH" --endpoints "$1" --connections 9 --in-flight "$IN_FLIGHT" --duration "$DURATION" --json "${@:2}" |
    python3 -c 'import json, sys
result = json.load(sys.stdin)
print(result["all"]["ops_per_second"], result["all"]["p99_ms"], sum(result["errors"].values()))'
}

# The same over HTTP.
cat >"$data/put_get.lua" <<'LUA'
local value = string.rep("0123456789abcdef", 16)
local turn = 0
request = function()
  turn = turn + 1
  local key = string.format("/v1/kv/http%012d", math.random(0, 99999))
  if turn % 2 == 0 then
    return wrk.format("GET", key)
  end
  return wrk.format("PUT", key, {["Content-Type"] = "application/json"}, '{"value": "' .. value .. '"}')
end
-- A get of a key that nobody has put yet is answered too.
response = function(status)
  if status ~= 200 and status ~= 404 then
    bad = (bad or 0) + 1
  end
end
local threads = {}
setup = function(thread) table.insert(threads, thread) end
done = function(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do
    failed = failed + (thread:get("bad") or 0)
  end
  io.write(string.format("result %f %f %d\n", summary.requests * 1e6 / summary.duration,
    latency:percentile(99) / 1000, failed))
end
LUA
http() {
  wrk --threads 2 --connections "$IN_FLIGHT" --duration "$DURATION" --script "$data/put_get.lua" "http://$1" |
    sed -n 's/^result //p'
}

for i in 1 2 3; do
  "$RAFTKVD" --name "n$i" --data_dir "$data/$i" --listen_client "127.0.0.1:2379$i" --listen_peer "127.0.0.1:2380$i" \
    --listen_http "127.0.0.1:2381$i" --initial_cluster "$MEMBERS" >/dev/null 2>&1 &
  pids+=($!)
done
leader=
for _ in {1..100}; do
  leader=$(curl -s http://127.0.0.1:23811/status |
    jq -r '[.members[] | select(.is_leader) | .id] | first // ""' 2>/dev/null) || true
  [[ -z $leader ]] || break
  sleep 0.2
done
[[ -n $leader ]] || fail "nobody leads after 20 s"
python3 scripts/bench/machine.py "$data"

# Each fills the keys that it reads.
bench "127.0.0.1:2379$leader" >/dev/null
http "127.0.0.1:2381$leader" >/dev/null
for i in 1 2 3; do
  role=$([[ $i == "$leader" ]] && echo leader || echo follower)
  echo "$role gRPC $(bench "127.0.0.1:2379$i" --workload mix --read-percent 50)" >>"$data/rates"
  echo "$role HTTP $(http "127.0.0.1:2381$i")" >>"$data/rates"
done

# idle: keeps so many connections open until it is killed; what the server closes is opened anew.
idle() {
  exec python3 - "2381$leader" "$IDLE" <<'IDLE_CONNECTIONS'
import resource
import select
import socket
import sys
import time

port, count = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
poll, connections = select.poll(), {}
while True:
    for descriptor, _ in poll.poll(0):
        poll.unregister(descriptor)
        connections.pop(descriptor).close()
    while len(connections) < count:
        connection = socket.create_connection(("127.0.0.1", port))
        connections[connection.fileno()] = connection
        poll.register(connection, select.POLLIN)
    time.sleep(0.25)
IDLE_CONNECTIONS
}
for ((pair = 1; pair <= PAIRS; ++pair)); do
  echo "alone $(bench "127.0.0.1:2379$leader" --no-prefill)" >>"$data/puts"
  idle &
  idle_pid=$!
  pids+=("$idle_pid")
  sleep 2
  echo "beside $(bench "127.0.0.1:2379$leader" --no-prefill)" >>"$data/puts"
  kill "$idle_pid"
  wait "$idle_pid" 2>/dev/null || true
  sleep 1
done

python3 - "$data/rates" "$data/puts" "$IN_FLIGHT" "$IDLE" <<'REPORT'
import statistics
import sys

rates, puts = ([line.split() for line in open(path)] for path in sys.argv[1:3])
in_flight, idle = sys.argv[3:]
for role, by, rate, p99, errors in rates:
    print(f"put and get in turns, {in_flight} in flight, {role:8s} {by}: {float(rate):6.0f} ops/s, "
          f"p99 {float(p99):6.2f} ms, {errors} errors")
mean = {by: statistics.mean(float(rate) for _, each, rate, _, _ in rates if each == by) for by in ("gRPC", "HTTP")}
print(f"HTTP / gRPC: {mean['HTTP'] / mean['gRPC']:.2f}x ops/s")
alone, beside = ([float(p99) for which, _, p99, _ in puts if which == wanted] for wanted in ("alone", "beside"))
ratios = sorted(with_them / without for without, with_them in zip(alone, beside))
print(f"put p99, {in_flight} in flight: alone {statistics.median(alone):.2f} ms, beside {idle} idle HTTP connections "
      f"{statistics.median(beside):.2f} ms; ratio of pairs: median {statistics.median(ratios):.2f}, "
      f"from {ratios[0]:.2f} to {ratios[-1]:.2f}; {sum(int(errors) for *_, errors in puts)} errors")
REPORT
