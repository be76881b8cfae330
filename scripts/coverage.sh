#!/usr/bin/env bash
# Runs the unit, transcript and simulation tests of raft/core with counters and prints, by file, which of its lines and
# branches they reach. Exit 1 when that is less than 95 % of the lines.
#
#   scripts/coverage.sh         the report; exit 77, the mark of a skipped test, where there is no gcovr
#   scripts/coverage.sh --html  also build/coverage/report/index.html, which marks every line
#
# A branch that only a failed CHECK takes is counted as well, so branches stay far below lines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LINES_MIN_PERCENT=95
readonly TREE=build/coverage

html=
case ${1:-} in
  "") ;;
  --html) html=1 ;;
  *)
    echo "coverage.sh: unknown argument $1; allowed: --html" >&2
    exit 1
    ;;
esac
if ! command -v gcovr >/dev/null; then
  echo "coverage.sh: gcovr is missing; scripts/install_deps.sh --long installs it" >&2
  exit 77
fi

CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export CMAKE_BUILD_PARALLEL_LEVEL
cmake --preset coverage --log-level=WARNING
cmake --build --preset coverage
find "$TREE" -name '*.gcda' -delete
ctest --preset coverage -j2

report() {
  gcovr --root . --filter raft/core/ --exclude-throw-branches "$@" "$TREE/raft/core"
}
if [[ -n $html ]]; then
  mkdir -p "$TREE/report"
  report --html-details "$TREE/report/index.html"
fi
report --branches
report --fail-under-line "$LINES_MIN_PERCENT"
