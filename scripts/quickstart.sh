#!/usr/bin/env bash
# Shows raftkv at work in a minute or two: installs what is needed, builds, runs a cluster of three in a temporary
# folder, kills its leader, and checks every answer on the way. Exit 0 only when all was as it should be.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly FAILOVER_MS_MAX=5000
readonly READY_WITHIN_S=30

declare -A pids=()
folder=

# --- What the reader sees --------------------------------------------------------------------------------------------

bold=
dim=
plain=
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m'
  dim=$'\e[2m'
  plain=$'\e[0m'
fi

title() {
  printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

say() {
  printf '%s%s%s\n' "$dim" "$1" "$plain"
}

fail() {
  printf '\nquickstart: FAILED: %s\n' "$1" >&2
  exit 1
}

# run <command>: shows a command as a user would type it, and runs it.
run() {
  printf '$ %s\n' "$1"
  eval "$1" || fail "exit code $? from: $1"
}

# expect <output> <command>: the same, and the command must print exactly this.
expect() {
  local got
  printf '$ %s\n' "$2"
  got=$(eval "$2") || fail "exit code $? from: $2"
  if [[ -n $got ]]; then
    printf '%s\n' "$got"
  fi
  [[ $got == "$1" ]] || fail "wanted: $1"
}

# --- The cluster -----------------------------------------------------------------------------------------------------

port_is_free() {
  ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The usual ports, or others when something listens on one of them.
# shellcheck disable=SC2034  # start_node has them by their names.
choose_ports() {
  local offset port
  for offset in 0 1000 2000 3000 4000; do
    for port in 2379 2380 8080 22379 22380 28080 32379 32380 38080; do
      port_is_free $((port + offset)) || continue 2
    done
    client1=127.0.0.1:$((2379 + offset)) peer1=127.0.0.1:$((2380 + offset)) http1=127.0.0.1:$((8080 + offset))
    client2=127.0.0.1:$((22379 + offset)) peer2=127.0.0.1:$((22380 + offset)) http2=127.0.0.1:$((28080 + offset))
    client3=127.0.0.1:$((32379 + offset)) peer3=127.0.0.1:$((32380 + offset)) http3=127.0.0.1:$((38080 + offset))
    return
  done
  fail "no free ports: something listens on 2379 and on all others that were tried"
}

# start_node <1|2|3>
start_node() {
  local name=n$1 client=client$1 peer=peer$1 http=http$1 command
  command="raftkvd --name $name --data_dir \$DIR/$name --listen_client ${!client} --listen_peer ${!peer}"
  command+=" \\
    --listen_http ${!http} --initial_cluster \$CLUSTER"
  printf '$ %s 2>>%s &\n' "$command" "\$DIR/$name.log"
  # The command itself, not a shell around it, gets the signals below.
  eval "exec_in_background $name $command"
}

exec_in_background() {
  local name=$1
  shift
  "$@" 2>>"$folder/$name.log" &
  pids[$name]=$!
}

# wait_healthy <address>...: until each answers a linearizable read.
wait_healthy() {
  local deadline=$((SECONDS + READY_WITHIN_S)) list name
  list=$(IFS=,; echo "$*")
  until raftkvctl --endpoints "$list" endpoint health >/dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "the cluster is not healthy after $READY_WITHIN_S s"
    for name in "${!pids[@]}"; do
      kill -0 "${pids[$name]}" 2>/dev/null || fail "$name ended"
    done
    sleep 0.1
  done
}

# wait_until_published: until every member has told its client address to the others.
wait_until_published() {
  local deadline=$((SECONDS + READY_WITHIN_S))
  until [[ $(raftkvctl member list | awk -F', ' '$5 != ""' | wc -l) == 3 ]]; do
    ((SECONDS < deadline)) || fail "the members' client addresses are not known after $READY_WITHIN_S s"
    sleep 0.1
  done
}

# column <number>: that column of `endpoint status`, one line per node.
column() {
  raftkvctl endpoint status 2>/dev/null | awk -F', ' -v column="$1" '{ print $column }'
}

# The name of the node that leads.
leader() {
  raftkvctl endpoint status 2>/dev/null | awk -F', ' '$5 == "leader" { print $3; exit }'
}

milliseconds() {
  echo $(($(date +%s%N) / 1000000))
}

clean_up() {
  local status=$? name
  for name in "${!pids[@]}"; do
    kill -9 "${pids[$name]}" 2>/dev/null || true
  done
  wait 2>/dev/null || true
  if ((status != 0)) && [[ -n $folder ]]; then
    for name in n1 n2 n3; do
      if [[ -s $folder/$name.log ]]; then
        printf -- '--- end of the log of %s\n' "$name" >&2
        tail -n 15 "$folder/$name.log" >&2
      fi
    done
  fi
  if [[ -n $folder ]]; then
    rm -rf "$folder"
  fi
  exit "$status"
}
trap clean_up EXIT

# --- The tour --------------------------------------------------------------------------------------------------------

title "1. Install what is needed, and build"
run "./scripts/install_deps.sh --tests"
run "cmake --preset release --log-level=WARNING >/dev/null"
run "cmake --build --preset release --target raftkvd raftkvctl"
# shellcheck disable=SC2016  # Shown as it is typed; run expands it.
run 'export PATH=$PWD/build/release/server:$PWD/build/release/client/ctl:$PWD/build/tools:$PATH'
have_grpcurl=true
if [[ ! -x build/tools/grpcurl ]] && ! command -v grpcurl >/dev/null; then
  have_grpcurl=false
  say "There is no Go here to build grpcurl, so the calls below use raftkvctl only."
fi

title "2. Start three nodes"
choose_ports
folder=$(mktemp -d)
run "export DIR=$folder"
run "export CLUSTER=n1=$peer1,n2=$peer2,n3=$peer3"
run "export RAFTKVCTL_ENDPOINTS=$client1,$client2,$client3"
for i in 1 2 3; do
  start_node "$i"
done
say "They find each other, found the cluster and elect a leader."
wait_healthy "$client1" "$client2" "$client3"
run "raftkvctl endpoint health"
wait_until_published
run "raftkvctl member list -w table"

title "3. Write through any node, read from any other"
if $have_grpcurl; then
  run "grpcurl -plaintext -d '{\"key\":\"greeting\",\"text\":\"hello\"}' $client1 raftkv.v1.KvService/Put"
  run "grpcurl -plaintext -d '{\"key\":\"greeting\",\"as_text\":true}' $client2 raftkv.v1.KvService/Get \\
    | tee \$DIR/answer"
  grep -q '"text": "hello"' "$folder/answer" || fail "grpcurl's Get does not show the value"
else
  expect OK "raftkvctl --endpoints $client1 put greeting hello"
  expect hello "raftkvctl --endpoints $client2 get greeting --print-value-only"
fi
expect hello "raftkvctl --endpoints $client3 get greeting --print-value-only"
expect '{"key":"greeting","value":"hello"}' "curl -s http://$http3/kv/greeting"
expect OK "raftkvctl put colour blue"
expect $'colour\nblue\ngreeting\nhello' "raftkvctl get --prefix ''"

title "4. A key that expires"
expect OK "raftkvctl put session alice --ttl 2s"
expect alice "raftkvctl get session --print-value-only"
run "sleep 2.5"
for client in "$client1" "$client2" "$client3"; do
  expect "" "raftkvctl --endpoints $client get session"
done
say "It is gone, on every node."

title "5. Kill the leader"
killed=$(leader)
[[ -n $killed ]] || fail "no node leads"
say "$killed leads. kill -9 gives it no chance to say goodbye."
killed_at=$(milliseconds)
run "kill -9 ${pids[$killed]}"
wait "${pids[$killed]}" 2>/dev/null || true
unset "pids[$killed]"
expect OK "raftkvctl put after the-kill"
failover_ms=$(($(milliseconds) - killed_at))
say "The write was done $failover_ms ms after the kill: one slow call, no error."
((failover_ms <= FAILOVER_MS_MAX)) || fail "that is more than $FAILOVER_MS_MAX ms"
say "Nothing that was acknowledged is lost, and both survivors know it:"
for i in 1 2 3; do
  client=client$i
  if [[ n$i != "$killed" ]]; then
    expect $'after\nthe-kill\ncolour\nblue\ngreeting\nhello' "raftkvctl --endpoints ${!client} get --prefix ''"
  fi
done
say "The new leader is $(leader)."

title "6. Bring it back"
expect OK "raftkvctl put colour green"
start_node "${killed#n}"
back=client${killed#n}
wait_healthy "${!back}"
expect green "raftkvctl --endpoints ${!back} get colour --print-value-only"
deadline=$((SECONDS + READY_WITHIN_S))
until [[ $(column 9 | sort -u | wc -l) == 1 && $(column 9 | wc -l) == 3 ]]; do
  ((SECONDS < deadline)) || fail "the nodes do not agree after $READY_WITHIN_S s"
  sleep 0.1
done
run "raftkvctl endpoint status -w table"
[[ $(column 10 | sort | uniq -c | awk '{ print $1 }') == 3 ]] || fail "the revisions differ"
[[ $(column 11 | sort | uniq -c | awk '{ print $1, $2 }') == "3 3" ]] || fail "not three keys on each node"
say "All three have applied the same log, at the same revision, with the same number of keys."

title "7. Stop"
for name in n1 n2 n3; do
  run "kill ${pids[$name]}"
done
for name in n1 n2 n3; do
  wait "${pids[$name]}" || fail "$name ended with exit code $?"
  unset "pids[$name]"
done
say "Each stopped with exit code 0."
printf '\n%squickstart: all as it should be; failover took %d ms%s\n' "$bold" "$failover_ms" "$plain"
