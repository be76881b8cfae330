#!/usr/bin/env bash
# Puts known bugs into raftkv, one at a time, and shows whether the tests find each. The last line says how many they
# caught; exit 0 only when it is all of them.
#
#   scripts/mutants.sh         builds the preset `mutants`, then the tests without a bug, then against every bug
#   scripts/mutants.sh 7 12    only these, by their numbers in tests/mutants/list.txt
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export CMAKE_BUILD_PARALLEL_LEVEL

cmake --preset mutants --log-level=WARNING
cmake --build --preset mutants
exec python3 tests/mutants/run_proof.py build/mutants "$@"
