#include "tests/chaos/chaos_cluster.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <numeric>

namespace raftkv::chaos {
namespace {

using integration::ExitStatus;
using integration::Millis;
using integration::TestCluster;

constexpr Millis kFindLeaderMax(5000);
constexpr Millis kStatusMax(300);

}  // namespace

ChaosCluster::ChaosCluster(const ChaosClusterOptions& options)
    : members_({.size = options.size, .flags = {}}), stopped_(options.size, false) {}

bool ChaosCluster::Start() {
  for (size_t node = 0; node < size(); ++node) {
    if (!members_.Start(node)) {
      return false;
    }
  }
  return members_.WaitForLeader().has_value();
}

std::vector<size_t> ChaosCluster::all() const {
  std::vector<size_t> nodes(size());
  std::iota(nodes.begin(), nodes.end(), 0);
  return nodes;
}

std::optional<size_t> ChaosCluster::FindLeader() {
  std::optional<size_t> leader;
  const bool found = integration::WaitUntil(kFindLeaderMax, [&] {
    uint64_t newest_term = 0;
    for (size_t node = 0; node < size(); ++node) {
      const auto status = members_.client(node).GetStatus(kStatusMax);
      if (status.ok() && status->raft_state() == v1::RAFT_STATE_LEADER &&
          status->header().raft_term() > newest_term) {
        newest_term = status->header().raft_term();
        leader = node;
      }
    }
    return leader.has_value();
  });
  return found ? leader : std::nullopt;
}

void ChaosCluster::Kill(const std::vector<size_t>& nodes) {
  for (const size_t node : nodes) {
    members_.server(node).Signal(SIGKILL);
    stopped_[node] = true;
  }
  for (const size_t node : nodes) {
    EXPECT_EQ(members_.server(node).WaitExit(), (ExitStatus{.code = -1, .signal = SIGKILL}))
        << TestCluster::Name(node);
  }
}

void ChaosCluster::Stop(size_t node) {
  stopped_[node] = true;
  EXPECT_EQ(members_.server(node).Stop(), (ExitStatus{.code = 0, .signal = -1}))
      << TestCluster::Name(node) << " does not stop in order";
}

bool ChaosCluster::Recover() {
  bool well = true;
  for (size_t node = 0; node < size(); ++node) {
    const auto exit = members_.server(node).WaitExit(Millis(0));
    if (exit.has_value() && !stopped_[node]) {
      ADD_FAILURE() << TestCluster::Name(node) << " ended by itself: " << *exit << "\n"
                    << members_.server(node).LogTail();
      well = false;
    }
  }
  for (size_t node = 0; node < size() && well; ++node) {
    if (stopped_[node]) {
      well = members_.Start(node);
      stopped_[node] = false;
    }
  }
  return well;
}

}  // namespace raftkv::chaos
