#!/usr/bin/env bash
# Reads and writes a raftkv cluster with grpcurl and jq; docs/CLIENTS.md.
#
#   client/examples/grpcurl.sh HOST:PORT...    the client addresses of members
set -euo pipefail

# call <server> <method> <request>
call() {
  grpcurl -plaintext -d "$3" "$1" "$2"
}

kv=raftkv.v1.KvService
request='{"key": "example/greeting", "text": "hello", "ttl": "60s"}'
# Fields have the names of the .proto, since the server describes itself; 64-bit numbers are texts in protobuf's JSON.
revision=$(call "$1" $kv/Put "$request" | jq -r '.mod_revision | tonumber')
echo "get: $(call "$1" $kv/Get '{"key": "example/greeting", "as_text": true}' | jq -r .kv.text)"
echo "list: $(call "$1" $kv/List '{"range": {"prefix": "example/"}, "keys_only": true}' | jq -r '.kvs[].key')"
stale='{"key": "example/greeting", "text": "lost", "precondition": {"mod_revision": '$((revision - 1))'}}'
# The exit code is 64 and the number of the code: ABORTED is 10.
call "$1" $kv/Put "$stale" 2>/dev/null || echo "refused: $(($? - 64))"
echo "deleted: $(call "$1" $kv/Delete '{"key": "example/greeting"}' | jq .deleted)"
for server in "$@"; do
  health=$(call "$server" grpc.health.v1.Health/Check '{"service": "raftkv.leader"}')
  if [[ $(jq -r .status <<<"$health") == SERVING ]]; then
    echo "leader: $(call "$server" raftkv.v1.ClusterService/GetStatus '{}' | jq -r .name)"
  fi
done
