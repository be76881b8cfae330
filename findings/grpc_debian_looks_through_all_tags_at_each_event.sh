#!/usr/bin/env bash
# gRPC 1.51.1 as Debian 12 ships it (libgrpc++1.51 1.51.1-3+b1) is built without NDEBUG. Its completion queues then keep
# a list of the tags of all operations that are outstanding, and look for the tag in it, from the oldest on, whenever an
# operation ends: an event costs time in proportion to what else waits on its queue. Calls that a server announces in
# advance, open streams and alarms are such operations. What gRPC's authors publish for other systems does not do so.
#
# Seen:     with 20,000 alarms that are due much later on the queue, an alarm that is due at once costs some 6 times as
#           much as with 20 of them
# Expected: the same, whatever else waits.
# Needs apt-get, g++ and the headers of libabsl-dev and libprotobuf-dev. Exit 0: behaves so; 1: it changed; 2: could not
# be tried.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
readonly VERSION=1.51.1-3+b1
if ! apt-get download -q "libgrpc++-dev=$VERSION" "libgrpc++1.51=$VERSION" "libgrpc-dev=$VERSION" \
  "libgrpc29=$VERSION" >/dev/null 2>&1; then
  echo "the packages are not to be had"
  exit 2
fi
for package in ./*.deb; do dpkg -x "$package" root; done
cat >alarms.cc <<'CC'
#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <chrono>
#include <cstdio>
#include <deque>

// Microseconds that one alarm takes which is due at once, while `waiting` others are outstanding.
double Cost(int waiting) {
  grpc::CompletionQueue queue;
  std::deque<grpc::Alarm> later(waiting);
  for (grpc::Alarm& alarm : later) {
    alarm.Set(&queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), &alarm);
  }
  constexpr int kTimes = 3000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kTimes; ++i) {
    grpc::Alarm alarm;
    alarm.Set(&queue, gpr_inf_past(GPR_CLOCK_MONOTONIC), &alarm);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
  }
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  for (grpc::Alarm& alarm : later) alarm.Cancel();
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
  return took.count() / kTimes;
}

int main() {
  double few = 1e9, many = 1e9;
  for (int i = 0; i < 3; ++i) {
    const double cost_of_few = Cost(20), cost_of_many = Cost(20000);
    if (cost_of_few < few) few = cost_of_few;
    if (cost_of_many < many) many = cost_of_many;
  }
  std::printf("an event costs %.1f us with 20 others outstanding, %.1f us with 20,000\n", few, many);
  return many > 3 * few ? 0 : 1;
}
CC
libraries=root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo x86_64-linux-gnu)
if ! g++ -O2 -std=c++17 -isystem root/usr/include alarms.cc -o alarms -L "$libraries" -lgrpc++ -lgrpc -lgpr \
  -labsl_synchronization -labsl_status -labsl_time -labsl_base \
  -Wl,-rpath-link,"$libraries" -pthread; then
  echo "the program cannot be built"
  exit 2
fi
LD_LIBRARY_PATH=$libraries ./alarms
