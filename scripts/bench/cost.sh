#!/usr/bin/env bash
# Measures what something costs: puts of 256 B, 256 in flight, on three nodes without it and on three with it, in turns.
# Prints pairs, and median ratios of puts a second and of the servers' CPU time.
#
#   scripts/bench/cost.sh <without> <with> [pairs=10] [duration=8s] [in flight=256]
#
# Each of the two is a raftkvd and, behind a comma, how it is run: `scraped`, the metrics of each node fetched every
# second, or `tls`, certificates asked for on all ports. So build/release/server/raftkvd,tls.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
  echo "cost.sh: $1" >&2
  exit 1
}
readonly WITHOUT=${1:-} WITH=${2:-} PAIRS=${3:-10} DURATION=${4:-8s} IN_FLIGHT=${5:-256}
for side in "$WITHOUT" "$WITH"; do
  [[ -x ${side%,*} ]] || fail "\"${side%,*}\" is no raftkvd to measure"
  [[ $side =~ ^[^,]*(,(scraped|tls))?$ ]] || fail "\"${side#*,}\" is no way to run it; allowed: scraped, tls"
done
[[ $PAIRS =~ ^[1-9][0-9]*$ ]] || fail "\"$PAIRS\" is no number of pairs"
readonly BENCH=build/release/client/bench/raftkv_bench
[[ -x $BENCH ]] || fail "$BENCH is not built"
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
./scripts/make_certs.sh "$data/certs" n1,127.0.0.1 n2,127.0.0.1 n3,127.0.0.1 >/dev/null

# scrape: the three pages each second, until it is killed.
scrape() {
  while true; do
    curl -s -o /dev/null http://127.0.0.1:2381[1-3]/metrics || true
    sleep 1
  done
}

# measure <side>: puts a second, and CPU ticks of the servers for a million.
measure() {
  local program=${1%,*} way=${1#*,} folder i before after line
  local -a flags tls=()
  folder=$(mktemp -d -p "$data")
  for i in 1 2 3; do
    flags=(--name "n$i" --data_dir "$folder/$i" --listen_client "127.0.0.1:2379$i" --listen_peer "127.0.0.1:2380$i"
      --initial_cluster "$MEMBERS")
    # One from before there was HTTP knows no such flag.
    if [[ $("$program" --help 2>&1) == *listen_http* ]]; then
      flags+=(--listen_http "127.0.0.1:2381$i")
    fi
    if [[ $way == tls ]]; then
      flags+=(--cert_file "$data/certs/n$i.pem" --key_file "$data/certs/n$i.key" --trusted_ca_file "$data/certs/ca.pem"
        --client_cert_auth=true)
      tls=(--cacert "$data/certs/ca.pem" --cert "$data/certs/client.pem" --key "$data/certs/client.key")
    fi
    "$program" "${flags[@]}" >/dev/null 2>"$folder/$i.log" &
    pids+=($!)
  done
  if [[ $way == scraped ]]; then
    scrape &
    pids+=($!)
  fi
  load() {
    "$BENCH" --endpoints "$ENDPOINTS" --connections 9 --in-flight "$IN_FLIGHT" --json "${tls[@]}" "$@"
  }
  for i in {1..60}; do
    load --keys 1 --warmup 0s --duration 50ms >/dev/null 2>&1 && break
    ((i < 60)) || fail "\"$1\" does not serve; the end of a log: $(tail -1 "$folder/1.log")"
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
    measure "$WITHOUT" >>"$data/without"; stop
    measure "$WITH" >>"$data/with"; stop
  else
    measure "$WITH" >>"$data/with"; stop
    measure "$WITHOUT" >>"$data/without"; stop
  fi
done
python3 - "$data/without" "$data/with" "$(getconf CLK_TCK)" <<'REPORT'
import statistics
import sys

sides = ([tuple(map(float, line.split())) for line in open(path)] for path in sys.argv[1:3])
pairs = list(zip(*sides))
tick_us = 1e6 / float(sys.argv[3])
for before, after in pairs:
    print(f"without: {before[0]:6.0f} puts/s, {before[1] * tick_us / 1e6:6.1f} us of CPU each; "
          f"with: {after[0]:6.0f} puts/s, {after[1] * tick_us / 1e6:6.1f} us")
for what, i in ("puts/s", 0), ("CPU", 1):
    ratios = sorted(after[i] / before[i] for before, after in pairs)
    print(f"{what}, with / without: median {statistics.median(ratios):.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}")
REPORT
