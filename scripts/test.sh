#!/usr/bin/env bash
# Installs, builds and runs every test. The last line is ctest's own summary; exit 0 only when all tests passed.
#
#   scripts/test.sh         about 70 minutes on two cores from a clean clone, most of it compiling
#   scripts/test.sh --long  also what takes longer: the idle cluster, more leader kills, docker, the package,
#                           buf's lint, the fuzzers, the coverage of raft/core, the console in a browser
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

install_profile=--tests
selection=(-LE long)
case ${1:-} in
  "") ;;
  --long)
    install_profile=--long
    selection=(-C Long)
    ;;
  *)
    echo "test.sh: unknown argument $1; allowed: --long" >&2
    exit 1
    ;;
esac

stage=
trap 'echo "test.sh: FAILED while doing: $stage" >&2' ERR

begin() {
  stage=$1
  echo "== $stage"
}

# build <preset>
build() {
  begin "build $1"
  cmake --preset "$1" --log-level=WARNING
  cmake --build --preset "$1"
}

# The thread sanitizer of gcc 12 cannot map its memory where the kernel randomises addresses widely.
without_address_randomisation=()
if setarch --addr-no-randomize true 2>/dev/null; then
  without_address_randomisation=(setarch --addr-no-randomize)
fi

CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export CMAKE_BUILD_PARALLEL_LEVEL

begin "install packages"
./scripts/install_deps.sh "$install_profile"

build asan
begin "fast tests under asan and ubsan"
ctest --preset asan -j3

build tsan
begin "fast tests without gRPC under tsan"
"${without_address_randomisation[@]}" ctest --preset tsan -j2

build release
begin "all tests"
ctest --preset release -j3 "${selection[@]}"
