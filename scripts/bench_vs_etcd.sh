#!/usr/bin/env bash
# Measures raftkv against etcd and NATS JetStream KV on this machine: three nodes each on loopback, one cluster up at a
# time, fresh data directories on the same disk, the same load, runs interleaved. Prints medians and, last, the ratios.
# docs/PERFORMANCE.md says what the figures mean.
#
#   scripts/bench_vs_etcd.sh [--pairs 3] [--duration 10s] [--warmup 3s] [--binaries build/release] [--without etcd,nats]
#
# etcd 3.7 and NATS are built from their Go modules. Without Go, Debian's etcd-server is used, which is older, and NATS
# is left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pairs=3
duration=10s
warmup=3s
binaries=build/release
without=
while (($# > 0)); do
  case $1 in
    --pairs) pairs=$2 ;;
    --duration) duration=$2 ;;
    --warmup) warmup=$2 ;;
    --binaries) binaries=$2 ;;
    --without) without=$2 ;;
    *)
      echo "bench_vs_etcd.sh: unknown argument $1; allowed: --pairs, --duration, --warmup, --binaries, --without" >&2
      exit 1
      ;;
  esac
  shift 2
done

backends=(raftkv etcd nats)
# leave_out <backend>: fails when there is no such one.
leave_out() {
  local kept=() backend
  for backend in "${backends[@]}"; do
    [[ $backend == "$1" ]] || kept+=("$backend")
  done
  ((${#kept[@]} < ${#backends[@]})) || return 1
  backends=("${kept[@]}")
}
for backend in ${without//,/ }; do
  leave_out "$backend" || {
    echo "bench_vs_etcd.sh: --without $backend: there are raftkv, etcd, nats" >&2
    exit 1
  }
done
((${#backends[@]} > 0)) || {
  echo "bench_vs_etcd.sh: --without $without leaves nothing to measure" >&2
  exit 1
}

readonly DATA=build/bench
readonly NATS=build/nats
readonly ENDPOINTS=127.0.0.1:23791,127.0.0.1:23792,127.0.0.1:23793
declare -A program=([raftkv]=$binaries/server/raftkvd [nats]=$NATS/nats-server)
pids=()

stop_cluster() {
  local pid
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null || true
  done
  for pid in "${pids[@]}"; do
    wait "$pid" 2>/dev/null || true
  done
  pids=()
}
trap stop_cluster EXIT

# generate_load <backend> <bench arguments>...
generate_load() {
  local backend=$1
  shift
  if [[ $backend == nats ]]; then
    "$NATS/nats_bench" --endpoints "$ENDPOINTS" "$@"
  else
    "$binaries/client/bench/raftkv_bench" --backend "$backend" --endpoints "$ENDPOINTS" --json "$@"
  fi
}

# start_cluster <backend>
start_cluster() {
  local i folder
  rm -rf "$DATA/nodes"
  mkdir -p "$DATA/nodes"
  for i in 1 2 3; do
    folder=$DATA/nodes/n$i
    ./scripts/bench/node.sh "$1" "$i" "${program[$1]}" "$folder" 2>"$folder.log" &
    pids+=($!)
  done
  for i in {1..60}; do
    if generate_load "$1" --leader-only --keys 1 --in-flight 1 --warmup 0s --duration 50ms >/dev/null 2>&1; then
      return
    fi
    sleep 0.5
  done
  echo "bench_vs_etcd.sh: the $1 cluster does not come up" >&2
  tail -n 5 "$DATA"/nodes/*.log >&2
  exit 1
}

# rss_kib: memory that the servers hold.
rss_kib() {
  local pid total=0
  for pid in "${pids[@]}"; do
    total=$((total + $(sed -n 's/^VmRSS:\s*\([0-9]*\) kB/\1/p' "/proc/$pid/status")))
  done
  echo "$total"
}

# measure <backend> <name of the workload> <bench arguments>...
measure() {
  local backend=$1 name=$2 before after line
  shift 2
  before=$(./scripts/bench/cpu_ticks.sh "${pids[@]}")
  line=$(generate_load "$backend" --value-size 256 --keys 100000 --connections 9 --duration "$duration" \
    --warmup "$warmup" "$@")
  after=$(./scripts/bench/cpu_ticks.sh "${pids[@]}")
  printf '{"name": "%s", "warmup": "%s", "server_cpu_ticks": %d, "server_rss_kib": %d, "result": %s}\n' \
    "$name" "$warmup" $((after - before)) "$(rss_kib)" "$line" >>"$DATA/results.jsonl"
}

# run_workloads <backend>
run_workloads() {
  local backend=$1
  start_cluster "$backend"
  measure "$backend" "put, 256 in flight" --workload put --in-flight 256
  # Writes every key once, so that each get finds its key.
  generate_load "$backend" --workload get --value-size 256 --keys 100000 --warmup 0s --duration 100ms >/dev/null
  measure "$backend" "get, 256 in flight" --workload get --in-flight 256 --no-prefill
  # One request at a time uses one connection: to the leader, so that luck does not choose the member.
  measure "$backend" "put, 1 in flight" --workload put --in-flight 1 --leader-only
  stop_cluster
}

# version_of <backend>
version_of() {
  case $1 in
    raftkv) [[ $binaries == build/release ]] && git describe --always --dirty 2>/dev/null || echo "of $binaries" ;;
    etcd) "${program[etcd]}" --version | sed -n 's/^etcd Version: //p' ;;
    nats) "${program[nats]}" --version | sed -n 's/^nats-server: v//p' ;;
  esac
}

if [[ $binaries == build/release ]]; then
  ./scripts/install_deps.sh --tests
  cmake --preset release --log-level=WARNING >/dev/null
  cmake --build --preset release --target raftkvd raftkv_bench
fi
if [[ " ${backends[*]} " == *" etcd "* ]]; then
  program[etcd]=$(./scripts/bench/build_etcd.sh)
fi
if [[ " ${backends[*]} " == *" nats "* ]] && ! ./scripts/bench/build_nats.sh; then
  echo "NATS is left out"
  leave_out nats
fi
mkdir -p "$DATA"
machine=$(python3 scripts/bench/machine.py "$DATA")
echo "$machine"
: >"$DATA/results.jsonl"
for pair in $(seq 1 "$pairs"); do
  for backend in "${backends[@]}"; do
    echo "pair $pair of $pairs: $backend"
    run_workloads "$backend"
  done
done
rm -rf "$DATA/nodes"

versions=
for backend in "${backends[@]}"; do
  versions+=", $backend $(version_of "$backend")"
done
echo
echo "${versions#, }: three nodes and the client on one machine, 256 B values, medians of $pairs runs of $duration"
echo "$machine"
python3 scripts/bench/report.py "$DATA/results.jsonl"
