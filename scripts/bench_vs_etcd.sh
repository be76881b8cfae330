#!/usr/bin/env bash
# Measures raftkv against etcd on this machine: three nodes each on loopback, one cluster up at a time, fresh data
# directories on the same disk, the same client, runs interleaved. Prints medians and, last, the ratios.
#
#   scripts/bench_vs_etcd.sh [--pairs 3] [--duration 10s] [--warmup 3s] [--binaries build/release]
#
# etcd 3.7 is built from its Go modules; without Go, Debian's etcd-server is used, which is older.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pairs=3
duration=10s
warmup=3s
binaries=build/release
while (($# > 0)); do
  case $1 in
    --pairs) pairs=$2 ;;
    --duration) duration=$2 ;;
    --warmup) warmup=$2 ;;
    --binaries) binaries=$2 ;;
    *)
      echo "bench_vs_etcd.sh: unknown argument $1; allowed: --pairs, --duration, --warmup, --binaries" >&2
      exit 1
      ;;
  esac
  shift 2
done

readonly ETCD_FOLDER=build/etcd
readonly DATA=build/bench
readonly ENDPOINTS=127.0.0.1:23791,127.0.0.1:23792,127.0.0.1:23793
bench=$binaries/client/bench/raftkv_bench
raftkvd=$binaries/server/raftkvd
etcd=
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

# newest_etcd: the newest release of 3.7, or of the newest line before it that is published.
newest_etcd() {
  local versions line newest
  versions=$(cd "$ETCD_FOLDER" && go list -m -versions go.etcd.io/etcd/server/v3 | tr ' ' '\n')
  for line in 3.7 3.6 3.5; do
    newest=$(grep -E "^v${line//./\\.}\.[0-9]+$" <<<"$versions" | sort -V | tail -n 1 || true)
    if [[ -n $newest ]]; then
      echo "$newest"
      return
    fi
  done
  return 1
}

build_etcd_from_modules() {
  local version
  cat >"$ETCD_FOLDER/main.go" <<'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
  printf 'module etcd\n\ngo 1.24\n' >"$ETCD_FOLDER/go.mod"
  version=$(newest_etcd) || return 1
  echo "building etcd $version from its Go modules"
  (cd "$ETCD_FOLDER" && go get "go.etcd.io/etcd/server/v3@$version" && go mod tidy && go build -o etcd .) \
    >"$ETCD_FOLDER/build.log" 2>&1 || {
    tail -n 5 "$ETCD_FOLDER/build.log" >&2
    return 1
  }
  etcd=$ETCD_FOLDER/etcd
}

unpack_etcd_of_debian() {
  echo "using Debian's etcd-server: older than etcd 3.7, so the ratios are not those of 3.7"
  (cd "$ETCD_FOLDER" && apt-get download -q etcd-server && dpkg -x etcd-server_*.deb debian)
  etcd=$ETCD_FOLDER/debian/usr/bin/etcd
}

prepare_etcd() {
  mkdir -p "$ETCD_FOLDER"
  if [[ -x $ETCD_FOLDER/etcd ]]; then
    etcd=$ETCD_FOLDER/etcd
  elif ! command -v go >/dev/null || ! build_etcd_from_modules; then
    unpack_etcd_of_debian
  fi
}

# start_cluster <raftkv|etcd>
start_cluster() {
  local i cluster="" client peer folder
  rm -rf "$DATA/nodes"
  mkdir -p "$DATA/nodes"
  for i in 1 2 3; do
    [[ $1 == raftkv ]] && cluster+=",n$i=127.0.0.1:2380$i" || cluster+=",n$i=http://127.0.0.1:2380$i"
  done
  for i in 1 2 3; do
    client=127.0.0.1:2379$i peer=127.0.0.1:2380$i folder=$DATA/nodes/n$i
    if [[ $1 == raftkv ]]; then
      "$raftkvd" --name "n$i" --data_dir "$folder" --listen_client "$client" --listen_peer "$peer" \
        --initial_cluster "${cluster#,}" 2>"$folder.log" &
    else
      "$etcd" --name "n$i" --data-dir "$folder" --log-level error \
        --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
        --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" \
        --initial-cluster "${cluster#,}" 2>"$folder.log" &
    fi
    pids+=($!)
  done
  for i in {1..60}; do
    if "$bench" --backend "$1" --endpoints "$ENDPOINTS" --leader-only --keys 1 --in-flight 1 --warmup 0s \
      --duration 50ms >/dev/null 2>&1; then
      return
    fi
    sleep 0.5
  done
  echo "bench_vs_etcd.sh: the $1 cluster does not come up" >&2
  tail -n 5 "$DATA"/nodes/*.log >&2
  exit 1
}

# cpu_ticks: CPU time that the servers have used.
cpu_ticks() {
  local pid total=0 fields
  for pid in "${pids[@]}"; do
    # The name in parentheses may hold blanks; what follows it does not.
    read -ra fields <<<"$(sed 's/.*) //' "/proc/$pid/stat")"
    total=$((total + fields[11] + fields[12]))
  done
  echo "$total"
}

# measure <backend> <name of the workload> <bench arguments>...
measure() {
  local backend=$1 name=$2 before after line
  shift 2
  before=$(cpu_ticks)
  line=$("$bench" --backend "$backend" --endpoints "$ENDPOINTS" --value-size 256 --keys 100000 --connections 9 \
    --duration "$duration" --warmup "$warmup" --json "$@")
  after=$(cpu_ticks)
  printf '{"name": "%s", "server_cpu_ticks": %d, "result": %s}\n' "$name" $((after - before)) "$line" \
    >>"$DATA/results.jsonl"
}

# run_workloads <backend>
run_workloads() {
  local backend=$1
  start_cluster "$backend"
  measure "$backend" "put, 256 in flight" --workload put --in-flight 256
  # Writes every key once, so that each get finds its key.
  "$bench" --backend "$backend" --endpoints "$ENDPOINTS" --workload get --value-size 256 --keys 100000 \
    --warmup 0s --duration 100ms >/dev/null
  measure "$backend" "get, 256 in flight" --workload get --in-flight 256 --no-prefill
  # One request at a time uses one connection: to the leader, so that luck does not choose the member.
  measure "$backend" "put, 1 in flight" --workload put --in-flight 1 --leader-only
  stop_cluster
}

if [[ $binaries == build/release ]]; then
  ./scripts/install_deps.sh --tests
  cmake --preset release --log-level=WARNING >/dev/null
  cmake --build --preset release --target raftkvd raftkv_bench
fi
prepare_etcd
etcd_version=$("$etcd" --version | sed -n 's/^etcd Version: //p')
mkdir -p "$DATA"
: >"$DATA/results.jsonl"
for pair in $(seq 1 "$pairs"); do
  for backend in raftkv etcd; do
    echo "pair $pair of $pairs: $backend"
    run_workloads "$backend"
  done
done
rm -rf "$DATA/nodes"

python3 - "$DATA/results.jsonl" "$etcd_version" "$warmup" "$(getconf CLK_TCK)" <<'PYTHON'
import collections
import json
import statistics
import sys

path, etcd_version, warmup, ticks_per_second = sys.argv[1:]
runs = collections.defaultdict(list)
with open(path, encoding="utf-8") as lines:
    for line in lines:
        run = json.loads(line)
        runs[run["name"], run["result"]["backend"]].append(run)


def seconds(text):
    units = {"ms": 0.001, "s": 1, "m": 60}
    unit = next(unit for unit in units if text.endswith(unit))
    return float(text[: -len(unit)]) * units[unit]


def median(name, backend, column):
    return statistics.median(run["result"]["all"][column] for run in runs[name, backend])


def cpu_us_per_op(name, backend):
    values = []
    for run in runs[name, backend]:
        result = run["result"]
        counted = result["seconds"] / (result["seconds"] + seconds(warmup))
        values.append(run["server_cpu_ticks"] / int(ticks_per_second) * counted / result["all"]["ops"] * 1e6)
    return statistics.median(values)


def errors(name, backend):
    return sum(sum(run["result"]["errors"].values()) for run in runs[name, backend])


print(f"\nraftkv against etcd {etcd_version}: three nodes and the client on one machine, 256 B values, medians of "
      f"{min(len(found) for found in runs.values())} runs")
print(f"{'workload':<20}{'store':<8}{'ops/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}{'CPU us/op':>11}"
      f"{'errors':>8}")
ratios = []
for name in dict.fromkeys(name for name, _ in runs):
    for backend in ("raftkv", "etcd"):
        print(f"{name:<20}{backend:<8}{median(name, backend, 'ops_per_second'):>9.0f}"
              f"{median(name, backend, 'p50_ms'):>9.2f}{median(name, backend, 'p99_ms'):>9.2f}"
              f"{median(name, backend, 'p999_ms'):>10.2f}{cpu_us_per_op(name, backend):>11.0f}"
              f"{errors(name, backend):>8}")
    ratio = {column: median(name, "raftkv", column) / median(name, "etcd", column)
             for column in ("ops_per_second", "p50_ms", "p99_ms")}
    ratios.append(f"{name}: {ratio['ops_per_second']:.2f}x ops/s, {ratio['p50_ms']:.2f}x p50, "
                  f"{ratio['p99_ms']:.2f}x p99")
print("raftkv / etcd: " + "; ".join(ratios))
PYTHON
