#!/usr/bin/env bash
# Builds the image, runs one node, then docker/compose.yaml, and proves it: writes through one node, kills a container,
# cuts one off from the network, reads through the others, heals, recreates two containers at other addresses, and
# checks that all three agree. Prometheus watches them meanwhile.
#
#   docker/test.sh             builds the image `raftkv` first
#   docker/test.sh --no-build  takes it as it is
#
# Where no image can be pulled, mmdebstrap makes debian:bookworm-slim. Exit 77 (skipped) where no Docker daemon answers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly BASE=debian:bookworm-slim
readonly PROJECT=raftkv-test
readonly NODES=(1 2 3)
readonly HEALTHY_WITHIN_S=60
# A name means another address, and two of three are up again: Docker's own time is in it. moving_members_test proves
# our part of it.
readonly FOUND_WITHIN_S=10
# Keeps an address taken while its former container is made anew.
readonly SQUATTER=$PROJECT-squatter
readonly ONE=$PROJECT-one

step="start"
trap 'echo "docker/test.sh: FAILED while doing: $step" >&2' ERR

begin() {
  step=$1
  echo "== $step"
}

fail() {
  echo "docker/test.sh: FAILED while doing: $step: $1" >&2
  exit 1
}

compose() {
  if docker compose version >/dev/null 2>&1; then
    docker compose -p "$PROJECT" -f docker/compose.yaml "$@"
  else
    docker-compose -p "$PROJECT" -f docker/compose.yaml "$@"
  fi
}

# container <node>
container() {
  docker ps -a -q --filter "label=com.docker.compose.project=$PROJECT" \
    --filter "label=com.docker.compose.service=raftkv$1"
}

# ctl <node> <arguments>...: raftkvctl inside the node's container, so that it asks this node.
ctl() {
  local node=$1
  shift
  docker exec "$(container "$node")" raftkvctl "$@"
}

# address <node>: where its container is in the network.
address() {
  docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(container "$1")"
}

# wait_healthy <node>...
wait_healthy() {
  local node deadline=$((SECONDS + HEALTHY_WITHIN_S))
  for node in "$@"; do
    until [[ $(docker inspect -f '{{.State.Health.Status}}' "$(container "$node")") == healthy ]] &&
      ctl "$node" endpoint health >/dev/null 2>&1; do
      ((SECONDS < deadline)) || fail "raftkv$node is not healthy after $HEALTHY_WITHIN_S s"
      sleep 0.5
    done
  done
}

# leader: the node that leads, asked from each of those given.
leader() {
  local node
  for node in "$@"; do
    if ctl "$node" endpoint status 2>/dev/null | awk -F', ' '$5 == "leader" { found = 1 } END { exit !found }'; then
      echo "$node"
      return
    fi
  done
  fail "none of $* leads"
}

# others <node>: all but this one.
others() {
  local node
  for node in "${NODES[@]}"; do
    [[ $node == "$1" ]] || echo "$node"
  done
}

# expect <node> <key> <value>: the node answers a linearizable read with it.
expect() {
  local got
  got=$(ctl "$1" get "$2" --print-value-only --fail-missing) || fail "raftkv$1 does not answer get $2"
  [[ $got == "$3" ]] || fail "raftkv$1 has $2 = $got, wanted $3"
}

# ask_prometheus <query>: the value of its one result.
ask_prometheus() {
  curl -s --max-time 10 http://127.0.0.1:9090/api/v1/query --data-urlencode "query=$1" |
    sed -n 's/.*"value":\[[^,]*,"\([^"]*\)"\].*/\1/p'
}

# Prints "revision keys" of a node.
state() {
  ctl "$1" endpoint status | awk -F', ' '{ print $10, $11 }'
}

make_base_image() {
  if docker image inspect "$BASE" >/dev/null 2>&1 || docker pull -q "$BASE" 2>/dev/null; then
    return
  fi
  begin "make $BASE with mmdebstrap"
  ./scripts/install_deps.sh --docker
  local folder
  folder=$(mktemp -d)
  mmdebstrap --quiet --variant=minbase bookworm "$folder/base.tar"
  docker import "$folder/base.tar" "$BASE" >/dev/null
  rm -rf "$folder"
}

build_image() {
  local arguments variable
  make_base_image
  begin "build the image"
  arguments=(--build-arg "JOBS=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}")
  for variable in http_proxy https_proxy no_proxy; do
    if [[ -n ${!variable:-} ]]; then
      arguments+=(--build-arg "$variable=${!variable}")
    fi
  done
  docker build -q -t raftkv "${arguments[@]}" -f docker/Dockerfile . >/dev/null
  docker build -q -t raftkv-prometheus "${arguments[@]:2}" docker/monitoring >/dev/null
}

clean_up() {
  local status=$?
  if ((status != 0 && status != 77)); then
    compose logs --no-color --tail=40 2>&1 || true
  fi
  docker rm -f -v "$ONE" >/dev/null 2>&1 || true
  docker rm -f "$SQUATTER-1" "$SQUATTER-2" "$SQUATTER-3" >/dev/null 2>&1 || true
  compose down -v --remove-orphans >/dev/null 2>&1 || true
  exit "$status"
}

if ! docker info >/dev/null 2>&1; then
  echo "docker/test.sh: no Docker daemon answers here: skipped"
  exit 77
fi
trap clean_up EXIT
case ${1:-} in
  "") build_image ;;
  --no-build) ;;
  *) fail "unknown argument $1; allowed: --no-build" ;;
esac

begin "run one node as the image has it"
docker run -d --name "$ONE" raftkv >/dev/null
deadline=$((SECONDS + HEALTHY_WITHIN_S))
until docker exec "$ONE" raftkvctl put key value >/dev/null 2>&1; do
  ((SECONDS < deadline)) || fail "no write after $HEALTHY_WITHIN_S s"
  sleep 0.5
done
[[ $(docker logs "$ONE" 2>&1) == *"(file /etc/raftkv/one_node.yaml:"* ]] || fail "it does not use config/one_node.yaml"
docker rm -f -v "$ONE" >/dev/null

begin "start three nodes"
compose down -v --remove-orphans >/dev/null 2>&1 || true
compose up -d
wait_healthy "${NODES[@]}"

begin "write through raftkv1, read through all"
for i in $(seq 1 20); do
  ctl 1 put "key$i" "value$i" >/dev/null
done
for node in "${NODES[@]}"; do
  expect "$node" key1 value1
  expect "$node" key20 value20
done

begin "ask each node by HTTP"
for port in 8080 28080 38080; do
  [[ $(curl -s --max-time 10 "http://127.0.0.1:$port/kv/key1") == '{"key":"key1","value":"value1"}' ]] ||
    fail "port $port does not tell of key1"
  [[ $(curl -s --max-time 10 "http://127.0.0.1:$port/health") == '{"healthy":true}' ]] ||
    fail "port $port says that it is not healthy"
  [[ $(curl -s --max-time 10 "http://127.0.0.1:$port/config") == *'"source":"file /etc/raftkv/three_nodes.yaml:'* ]] ||
    fail "port $port does not tell of config/three_nodes.yaml"
done

begin "have Prometheus scrape them"
compose up -d prometheus
deadline=$((SECONDS + HEALTHY_WITHIN_S))
until [[ $(ask_prometheus 'sum(up{job="raftkv"})') == 3 &&
  $(ask_prometheus 'sum(raftkv_server_is_leader)') == 1 && $(ask_prometheus 'min(raftkv_kv_keys)') == 20 ]]; do
  ((SECONDS < deadline)) || fail "Prometheus has not seen three members, one leader and 20 keys"
  sleep 1
done
[[ $(curl -s --max-time 10 http://127.0.0.1:9090/api/v1/rules | grep -o '"health":"ok"' | wc -l) -ge 20 ]] ||
  fail "Prometheus has not the rules of alerts.yml"

begin "kill the leader's container"
victim=$(leader "${NODES[@]}")
mapfile -t rest < <(others "$victim")
docker kill -s KILL "$(container "$victim")" >/dev/null
for node in "${rest[@]}"; do
  expect "$node" key20 value20
done
ctl "${rest[0]}" put after_kill 1 >/dev/null
expect "${rest[1]}" after_kill 1
docker start "$(container "$victim")" >/dev/null
wait_healthy "$victim"
expect "$victim" after_kill 1

begin "cut the leader off from the network"
victim=$(leader "${NODES[@]}")
mapfile -t rest < <(others "$victim")
network=${PROJECT}_default
docker network disconnect "$network" "$(container "$victim")"
for node in "${rest[@]}"; do
  expect "$node" after_kill 1
done
ctl "${rest[0]}" put after_cut 1 >/dev/null
expect "${rest[1]}" after_cut 1
if ctl "$victim" get after_cut --command-timeout 3s >/dev/null 2>&1; then
  fail "raftkv$victim answers a linearizable read without a quorum"
fi
[[ $(ctl "$victim" get key1 --consistency=s --print-value-only) == value1 ]] ||
  fail "raftkv$victim does not answer a stale read without a quorum"

begin "heal"
docker network connect --alias "raftkv$victim" "$network" "$(container "$victim")"
wait_healthy "${NODES[@]}"
expect "$victim" after_cut 1

begin "recreate two containers at other addresses"
kept=$(leader "${NODES[@]}")
mapfile -t moved < <(others "$kept")
declare -A old_address
for node in "${moved[@]}"; do
  old_address[$node]=$(address "$node")
  compose rm -s -f "raftkv$node" >/dev/null
done
for node in "${moved[@]}"; do
  docker run -d --name "$SQUATTER-$node" --network "$network" --entrypoint sleep raftkv 600 >/dev/null
done
for node in "${moved[@]}"; do
  compose up -d --no-recreate "raftkv$node"
  [[ $(address "$node") != "${old_address[$node]}" ]] || fail "raftkv$node has its old address ${old_address[$node]}"
done
deadline=$((SECONDS + FOUND_WITHIN_S))
until ctl "$kept" put after_move 1 --command-timeout 2s >/dev/null 2>&1; do
  ((SECONDS < deadline)) || fail "no write $FOUND_WITHIN_S s after raftkv${moved[0]} and raftkv${moved[1]} moved"
done
wait_healthy "${NODES[@]}"
for node in "${NODES[@]}"; do
  expect "$node" after_move 1
done
docker rm -f "$SQUATTER-${moved[0]}" "$SQUATTER-${moved[1]}" >/dev/null

begin "check that all three agree"
deadline=$((SECONDS + 20))
until [[ $(state 1) == "$(state 2)" && $(state 2) == "$(state 3)" ]]; do
  ((SECONDS < deadline)) || fail "revision and keys differ: $(state 1) / $(state 2) / $(state 3)"
  sleep 0.5
done
[[ $(state 1) == "23 23" ]] || fail "revision and keys are $(state 1), wanted 23 23"

begin "stop"
for node in "${NODES[@]}"; do
  docker stop -t 10 "$(container "$node")" >/dev/null
  code=$(docker inspect -f '{{.State.ExitCode}}' "$(container "$node")")
  [[ $code == 0 ]] || fail "raftkv$node ended with exit code $code"
done
echo "docker/test.sh: passed"
