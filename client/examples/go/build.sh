#!/usr/bin/env bash
# Builds client/examples/go: the code of the API first, by protoc, then the program.
#
#   client/examples/go/build.sh FOLDER    makes FOLDER/example; needs Go, protoc and the network
set -euo pipefail

folder=$(realpath -m "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

mkdir -p "$folder/raftkvv1"
cp client/examples/go/main.go client/examples/go/go.mod client/examples/go/go.sum "$folder"
export GOBIN=$folder/bin PATH=$folder/bin:$PATH
(cd "$folder" && go install tool)
options=(module=raftkv.dev/example)
for file in cluster kv types; do
  options+=("Mraftkv/v1/$file.proto=raftkv.dev/example/raftkvv1")
done
joined=$(IFS=,; echo "${options[*]}")
protoc -I proto --go_out="$folder" --go_opt="$joined" --go-grpc_out="$folder" --go-grpc_opt="$joined" \
  proto/raftkv/v1/{cluster,kv,types}.proto
(cd "$folder" && go build -o example .)
