#!/usr/bin/env bash
# Builds build/nats/nats-server and build/nats/nats_bench, its load generator, of the versions in go.mod of
# client/bench/nats. Exit 1 where that cannot be done, with a line that says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

folder=$PWD/build/nats
readonly folder

if ! command -v go >/dev/null; then
  echo "no Go here, so NATS cannot be built" >&2
  exit 1
fi
mkdir -p "$folder"
cd client/bench/nats
# Figures of a generator whose own tests fail are worth nothing.
if ! { go build -o "$folder/nats-server" github.com/nats-io/nats-server/v2 && go test . &&
  go build -o "$folder/nats_bench" .; } >"$folder/build.log" 2>&1; then
  tail -n 5 "$folder/build.log" >&2
  echo "NATS could not be built: $folder/build.log" >&2
  exit 1
fi
