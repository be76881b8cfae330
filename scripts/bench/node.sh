#!/usr/bin/env bash
# Becomes member 1, 2 or 3 of a cluster on loopback: clients on ports 23791 to 23793, peers on 23801 to 23803. Each
# store is set to have a write synced by a majority before it acknowledges it; all else is as the store ships.
#
#   scripts/bench/node.sh <raftkv|etcd|nats> <1|2|3> <its program> <folder for its data>
set -euo pipefail

store=$1 number=$2 program=$3 folder=$4
client=127.0.0.1:2379$number
peer=127.0.0.1:2380$number

# members <before the address>: the three of them, separated by commas.
members() {
  local i list=""
  for i in 1 2 3; do
    list+=",${1//%/$i}127.0.0.1:2380$i"
  done
  echo "${list#,}"
}

case $store in
  raftkv)
    exec "$program" --name "n$number" --data_dir "$folder" --listen_client "$client" --listen_peer "$peer" \
      --listen_http= --initial_cluster "$(members n%=)"
    ;;
  etcd)
    exec "$program" --name "n$number" --data-dir "$folder" --log-level error \
      --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
      --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" \
      --initial-cluster "$(members n%=http://)"
    ;;
  nats)
    # By default JetStream acknowledges first and syncs every two minutes. With `always` a member syncs its Raft log
    # before it says that it has an entry; the stream's own files, which that log can make again, follow later.
    cat >"$folder.conf" <<CONF
server_name: n$number
listen: $client
jetstream { store_dir: "$folder", sync_interval: always }
cluster { name: bench, listen: $peer, routes: [$(members nats://)] }
CONF
    exec "$program" --config "$folder.conf"
    ;;
  *)
    echo "node.sh: no store $store; there are raftkv, etcd, nats" >&2
    exit 1
    ;;
esac
