#!/usr/bin/env bash
# Builds the fuzzers with clang and runs each for a while, from its committed corpus and from what earlier runs here
# found (build/fuzz/found). An input that breaks something is left in build/fuzz/crashes; exit 1.
#
#   scripts/fuzz.sh [seconds for each]   60 unless given; exit 77, the mark of a skipped test, where there is no clang
#
# To run one input again: build/fuzz/tests/fuzz/<target> <file>
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TREE=build/fuzz
readonly TARGETS=(peer_message_fuzz stored_record_fuzz options_fuzz)
seconds=${1:-60}

if ! command -v clang++-14 >/dev/null; then
  echo "fuzz.sh: clang++-14 is missing; scripts/install_deps.sh --long installs it" >&2
  exit 77
fi

CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export CMAKE_BUILD_PARALLEL_LEVEL
cmake --preset fuzz --log-level=WARNING
cmake --build --preset fuzz

failed=()
for target in "${TARGETS[@]}"; do
  rm -rf "$TREE/crashes/$target"
  mkdir -p "$TREE/found/$target" "$TREE/crashes/$target"
  echo "== $target, $seconds s"
  if ! "$TREE/tests/fuzz/$target" -max_total_time="$seconds" -max_len=1024 -timeout=20 -rss_limit_mb=2048 \
    -close_fd_mask=2 -print_final_stats=1 -artifact_prefix="$TREE/crashes/$target/" \
    "$TREE/found/$target" "tests/fuzz/corpus/$target" >"$TREE/$target.log" 2>&1; then
    failed+=("$target")
    for input in "$TREE/crashes/$target"/*; do
      "$TREE/tests/fuzz/$target" "$input" 2>&1 | tail -n 40 || true
    done
  fi
  grep -E '^stat::(number_of_executed_units|average_exec_per_sec)|^Done' "$TREE/$target.log" || true
done
if [[ ${#failed[@]} -gt 0 ]]; then
  echo "fuzz.sh: ${failed[*]} failed; see $TREE/crashes" >&2
  exit 1
fi
