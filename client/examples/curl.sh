#!/usr/bin/env bash
# Reads and writes a raftkv cluster by HTTP; docs/CLIENTS.md.
#
#   client/examples/curl.sh HOST:PORT    the HTTP address of any member
set -euo pipefail

server=http://$1

curl -sS -f -X PUT "$server/v1/kv/example/greeting" -d '{"value": "hello", "ttl": "1m"}' >/dev/null
echo "get: $(curl -sS -f "$server/v1/kv/example/greeting" | jq -r .value)"
echo "list: $(curl -sS -f "$server/v1/kv?prefix=example/&keys_only" | jq -r '.kvs[].key')"
# A write that depends on what is there is a call of the gRPC method by its name, with its request as JSON.
echo "refused: $(curl -sS -H 'Content-Type: application/json' \
  -d '{"key": "example/greeting", "text": "lost", "precondition": {"exists": false}}' \
  "$server/raftkv.v1.KvService/Put" | jq -r .code)"
echo "deleted: $(curl -sS -f -X DELETE "$server/v1/kv/example/greeting" | jq .deleted)"
echo "leader: $(curl -sS -f "$server/status" | jq -r .leader.name)"
