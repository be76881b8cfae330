#!/usr/bin/env bash
# Installs what raftkv needs, by Debian package name (Debian 12). Does nothing when all of it is there.
#
#   scripts/install_deps.sh            what the build needs
#   scripts/install_deps.sh --tests    also what the tests and the quickstart use
#   scripts/install_deps.sh --runtime  only what the built programs load
#   scripts/install_deps.sh --long     --tests, and buf, the fuzzers' compiler, the coverage report and a browser
#   scripts/install_deps.sh --docker   what makes a base image where none can be pulled
#
# Go programs (grpcurl, buf) are built into build/tools when Go is there, so nothing else on the machine changes. Of the
# package prometheus only promtool is taken, into build/tools as well: the package would run a server.
set -euo pipefail

readonly GRPCURL_VERSION=v1.9.3
readonly BUF_VERSION=v1.50.0

readonly BUILD_PACKAGES=(
  ca-certificates
  ccache
  cmake
  g++
  libabsl-dev
  libcli11-dev
  libcpp-httplib-dev
  libgflags-dev
  libgmock-dev
  libgoogle-glog-dev
  libgrpc++-dev
  libgrpc-dev
  libgtest-dev
  libjemalloc-dev
  libprotobuf-dev
  librocksdb-dev
  libssl-dev
  libxxhash-dev
  libyaml-cpp-dev
  ninja-build
  nlohmann-json3-dev
  pkg-config
  prometheus-cpp-dev
  protobuf-compiler
  protobuf-compiler-grpc
)
readonly TEST_PACKAGES=(
  clang-format-14
  curl
  e2fsprogs
  fish
  jq
  mount
  openssl
  python3
  python3-grpcio
  python3-protobuf
  rocksdb-tools
  valgrind
  zsh
)
readonly LONG_PACKAGES=(
  chromium
  chromium-driver
  clang-14
  dpkg-dev
  fonts-dejavu-core
  gcovr
  libclang-rt-14-dev
  lintian
  mmdebstrap
  systemd
)
readonly RUNTIME_PACKAGES=(
  libbz2-1.0
  libc-ares2
  libcpp-httplib0.11
  libgflags2.2
  libgoogle-glog0v6
  libjemalloc2
  liblz4-1
  libprometheus-cpp-core1.0
  libre2-9
  libsnappy1v5
  libssl3
  libyaml-cpp0.7
  libzstd1
)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  else
    sudo "$@"
  fi
}

# install_packages <package>...
install_packages() {
  local missing=() package
  for package in "$@"; do
    if ! dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed; then
      missing+=("$package")
    fi
  done
  if [[ ${#missing[@]} -eq 0 ]]; then
    return
  fi
  echo "install_deps: installing ${missing[*]}"
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# install_go_program <name> <package> <version>
install_go_program() {
  local name=$1 package=$2 version=$3 tools="$root/build/tools"
  if [[ -x $tools/$name && $(cat "$tools/$name.version" 2>/dev/null) == "$version" ]]; then
    return
  fi
  if ! command -v go >/dev/null; then
    echo "install_deps: no Go here, so $name is not built; what needs it is skipped"
    return
  fi
  echo "install_deps: building $name $version into build/tools"
  mkdir -p "$tools"
  if GOBIN=$tools go install "$package@$version"; then
    echo "$version" >"$tools/$name.version"
  else
    echo "install_deps: $name could not be built; what needs it is skipped" >&2
  fi
}

install_promtool() {
  local folder
  if [[ -x $root/build/tools/promtool ]] || command -v promtool >/dev/null; then
    return
  fi
  echo "install_deps: taking promtool out of the package prometheus into build/tools"
  folder=$(mktemp -d)
  apt-cache show prometheus >/dev/null 2>&1 || as_root apt-get update -q
  if (cd "$folder" && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb .); then
    install -D "$folder/usr/bin/promtool" "$root/build/tools/promtool"
  else
    echo "install_deps: promtool could not be had; what needs it is skipped" >&2
  fi
  rm -rf "$folder"
}

profile=${1:-}
case $profile in
  "") install_packages "${BUILD_PACKAGES[@]}" ;;
  --docker) install_packages mmdebstrap ;;
  --runtime) install_packages "${RUNTIME_PACKAGES[@]}" ;;
  --tests | --long)
    install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
    install_go_program grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl "$GRPCURL_VERSION"
    install_promtool
    if [[ $profile == --long ]]; then
      install_packages "${LONG_PACKAGES[@]}"
      install_go_program buf github.com/bufbuild/buf/cmd/buf "$BUF_VERSION"
    fi
    ;;
  *)
    echo "install_deps: unknown argument $profile; allowed: --tests, --runtime, --long, --docker" >&2
    exit 1
    ;;
esac
