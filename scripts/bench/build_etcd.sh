#!/usr/bin/env bash
# Builds build/etcd/etcd from etcd's Go modules, unless it is there; without Go, unpacks Debian's etcd-server, which is
# older. Prints the path of the program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly FOLDER=build/etcd

# newest_etcd: the newest release of 3.7, or of the newest line before it that is published.
newest_etcd() {
  local versions line newest
  versions=$(cd "$FOLDER" && go list -m -versions go.etcd.io/etcd/server/v3 | tr ' ' '\n')
  for line in 3.7 3.6 3.5; do
    newest=$(grep -E "^v${line//./\\.}\.[0-9]+$" <<<"$versions" | sort -V | tail -n 1 || true)
    if [[ -n $newest ]]; then
      echo "$newest"
      return
    fi
  done
  return 1
}

build_from_modules() {
  local version
  cat >"$FOLDER/main.go" <<'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
  printf 'module etcd\n\ngo 1.24\n' >"$FOLDER/go.mod"
  version=$(newest_etcd) || return 1
  echo "building etcd $version from its Go modules" >&2
  (cd "$FOLDER" && go get "go.etcd.io/etcd/server/v3@$version" && go mod tidy && go build -o etcd .) \
    >"$FOLDER/build.log" 2>&1 || {
    tail -n 5 "$FOLDER/build.log" >&2
    return 1
  }
}

mkdir -p "$FOLDER"
if [[ ! -x $FOLDER/etcd ]] && { ! command -v go >/dev/null || ! build_from_modules; }; then
  echo "using Debian's etcd-server: older than etcd 3.7, so the ratios are not those of 3.7" >&2
  (cd "$FOLDER" && apt-get download -q etcd-server >&2 && dpkg -x etcd-server_*.deb debian)
  echo "$FOLDER/debian/usr/bin/etcd"
else
  echo "$FOLDER/etcd"
fi
