#!/usr/bin/env bash
# Measures what counting and scraping cost: puts of 256 B, 256 in flight, on three nodes of an older raftkvd and on
# three of this tree's, of which Prometheus' page is fetched each second, in turns. Prints pairs, and median ratios of
# puts a second and of the servers' CPU time.
#
#   scripts/bench/metrics_cost.sh <older raftkvd> [pairs=10] [duration=8s]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if (($# < 1)) || [[ ! -x $1 ]]; then
  echo "metrics_cost.sh: the first argument must be a raftkvd to compare with" >&2
  exit 1
fi
readonly OLDER=$1 PAIRS=${2:-10} DURATION=${3:-8s} NEWER=build/release/server/raftkvd
readonly BENCH=build/release/client/bench/raftkv_bench
readonly ENDPOINTS=127.0.0.1:23791,127.0.0.1:23792,127.0.0.1:23793
readonly MEMBERS=n1=127.0.0.1:23801,n2=127.0.0.1:23802,n3=127.0.0.1:23803
data=$(mktemp -d)
pids=()

stop() {
  kill "${pids[@]}" 2>/dev/null || true
  wait "${pids[@]}" 2>/dev/null || true
  pids=()
}
trap 'stop; rm -rf "$data"' EXIT

# scrape: the three pages each second, until it is killed.
scrape() {
  while true; do
    curl -s -o /dev/null http://127.0.0.1:2381[1-3]/metrics || true
    sleep 1
  done
}

# load <bench arguments>...
load() {
  "$BENCH" --endpoints "$ENDPOINTS" --connections 9 --json "$@"
}

# measure <program> <0|1: whether it is scraped>: puts a second, and CPU ticks of the servers for a million.
measure() {
  local i folder before after line
  folder=$(mktemp -d -p "$data")
  for i in 1 2 3; do
    "$1" --name "n$i" --data_dir "$folder/$i" --listen_client "127.0.0.1:2379$i" --listen_peer "127.0.0.1:2380$i" \
      --listen_http "127.0.0.1:2381$i" --initial_cluster "$MEMBERS" >/dev/null 2>&1 &
    pids+=($!)
  done
  if (($2)); then
    scrape &
    pids+=($!)
  fi
  for i in {1..60}; do
    load --keys 1 --in-flight 1 --warmup 0s --duration 50ms >/dev/null 2>&1 && break
    sleep 0.2
  done
  before=$(./scripts/bench/cpu_ticks.sh "${pids[@]:0:3}")
  line=$(load --duration "$DURATION" --warmup 0s)
  after=$(./scripts/bench/cpu_ticks.sh "${pids[@]:0:3}")
  python3 -c 'import json, sys
puts, ticks = json.loads(sys.argv[1])["all"], int(sys.argv[2])
print(puts["ops_per_second"], ticks / puts["ops"] * 1e6)' "$line" $((after - before))
}

for ((pair = 1; pair <= PAIRS; ++pair)); do
  # Each of the two comes first as often.
  if ((pair % 2)); then
    measure "$OLDER" 0 >>"$data/older"; stop
    measure "$NEWER" 1 >>"$data/newer"; stop
  else
    measure "$NEWER" 1 >>"$data/newer"; stop
    measure "$OLDER" 0 >>"$data/older"; stop
  fi
done
python3 - "$data/older" "$data/newer" "$(getconf CLK_TCK)" <<'REPORT'
import statistics
import sys

older, newer = ([tuple(map(float, line.split())) for line in open(path)] for path in sys.argv[1:3])
tick_us = 1e6 / float(sys.argv[3])
for before, after in zip(older, newer):
    print(f"without: {before[0]:6.0f} puts/s, {before[1] * tick_us / 1e6:6.1f} us of CPU each; "
          f"with: {after[0]:6.0f} puts/s, {after[1] * tick_us / 1e6:6.1f} us")
for what, i in ("puts/s", 0), ("CPU", 1):
    ratios = sorted(after[i] / before[i] for before, after in zip(older, newer))
    print(f"{what}, with / without: median {statistics.median(ratios):.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}")
REPORT
