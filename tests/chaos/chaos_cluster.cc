#include "tests/chaos/chaos_cluster.h"

#include <glog/logging.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <numeric>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/temp_dir.h"

namespace raftkv::chaos {
namespace {

using integration::ExitStatus;
using integration::Millis;
using integration::TestCluster;

constexpr ExitStatus kKilled{.code = -1, .signal = SIGKILL};
constexpr ExitStatus kAborted{.code = -1, .signal = SIGABRT};
constexpr Millis kFindLeaderMax(5000);
constexpr Millis kStatusMax(300);
constexpr ExitStatus kDamaged{.code = 2, .signal = -1};

std::vector<int> PeerPorts(const TestCluster& members) {
  std::vector<int> ports;
  for (size_t node = 0; node < members.size(); ++node) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(members.peer_address(node), ':');
    int port = 0;
    CHECK(absl::SimpleAtoi(parts.second, &port));
    ports.push_back(port);
  }
  return ports;
}

}  // namespace

ChaosCluster::ChaosCluster(const ChaosClusterOptions& options)
    : options_(options),
      members_({.size = options.size, .flags = {}}),
      network_(PeerPorts(members_)),
      stopped_(options.size, false) {
  PrepareServers();
}

void ChaosCluster::PrepareServers() {
  for (size_t node = 0; node < size(); ++node) {
    members_.server(node).options().env = {
        absl::StrCat("LD_PRELOAD=", FAIL_SYNC_PATH, ":", REDIRECT_CONNECT_PATH),
        absl::StrCat("FAIL_SYNC_WHILE=", SyncMarker(node)), network_.EnvironmentOf(node)};
  }
}

bool ChaosCluster::Start() {
  if (options_.disks && !CreateDisks()) {
    return false;
  }
  for (size_t node = 0; node < size(); ++node) {
    if (!members_.Start(node)) {
      return false;
    }
  }
  return members_.WaitForLeader().has_value();
}

bool ChaosCluster::CreateDisks() {
  for (size_t node = 0; node < size(); ++node) {
    const std::string mount_point = members_.data_dir(node);
    disks_.push_back(std::make_unique<LoopDisk>(absl::StrCat(mount_point, ".image"), mount_point));
    const absl::Status created = disks_.back()->Create();
    EXPECT_TRUE(created.ok()) << created;
    if (!created.ok()) {
      return false;
    }
  }
  return true;
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

bool ChaosCluster::Leads(size_t node) {
  const auto status = members_.client(node).GetStatus(kStatusMax);
  return status.ok() && status->raft_state() == v1::RAFT_STATE_LEADER;
}

void ChaosCluster::Kill(const std::vector<size_t>& nodes) {
  for (const size_t node : nodes) {
    members_.server(node).Signal(SIGKILL);
    stopped_[node] = true;
  }
  for (const size_t node : nodes) {
    EXPECT_EQ(members_.server(node).WaitExit(), kKilled) << TestCluster::Name(node);
  }
}

void ChaosCluster::Stop(size_t node) {
  stopped_[node] = true;
  EXPECT_EQ(members_.server(node).Stop(), (ExitStatus{.code = 0, .signal = -1}))
      << TestCluster::Name(node) << " does not stop in order";
}

void ChaosCluster::CutPower(const std::vector<size_t>& nodes) {
  for (const size_t node : nodes) {
    disks_[node]->CutPower();
  }
  for (const size_t node : nodes) {
    members_.server(node).Signal(SIGKILL);
    stopped_[node] = true;
  }
  for (const size_t node : nodes) {
    // Some meet the dead disk before the signal meets them.
    const auto exit = members_.server(node).WaitExit();
    EXPECT_TRUE(exit == kKilled || exit == kAborted) << TestCluster::Name(node);
    disks_[node]->Remount();
  }
}

std::string ChaosCluster::SyncMarker(size_t node) const {
  return members_.dir().File(absl::StrCat("sync.", TestCluster::Name(node)));
}

void ChaosCluster::MisbehaveAtSync(size_t node, const std::string& how) {
  const std::string marker = SyncMarker(node);
  std::filesystem::remove(absl::StrCat(marker, ".felt"));
  integration::WriteFile(absl::StrCat(marker, ".new"), how);
  std::filesystem::rename(absl::StrCat(marker, ".new"), marker);
}

void ChaosCluster::BehaveAtSync(size_t node) { std::filesystem::remove(SyncMarker(node)); }

bool ChaosCluster::FeltAtSync(size_t node) const {
  return std::filesystem::exists(absl::StrCat(SyncMarker(node), ".felt"));
}

bool ChaosCluster::AwaitAbort(size_t node, Millis timeout) {
  const auto exit = members_.server(node).WaitExit(timeout);
  if (exit == kAborted) {
    stopped_[node] = true;
  }
  return stopped_[node];
}

void ChaosCluster::ExpectRefusal(size_t node, const ExitStatus& exit, const std::string& said) {
  stopped_[node] = true;
  const bool says_so = absl::StrContains(members_.server(node).LogTail(2), said);
  EXPECT_TRUE(exit == kDamaged && says_so)
      << TestCluster::Name(node) << " has damaged files and ends with " << exit << ", not with "
      << kDamaged << " and \"" << said << "\"\n"
      << members_.server(node).LogTail();
}

bool ChaosCluster::StartDamaged(size_t node) {
  members_.server(node).Start();
  if (members_.server(node).WaitReady()) {
    stopped_[node] = false;
    return true;
  }
  const auto exit = members_.server(node).WaitExit(Millis(0));
  EXPECT_TRUE(exit.has_value()) << TestCluster::Name(node) << " hangs over damaged files";
  if (exit.has_value()) {
    ExpectRefusal(node, *exit, members_.data_dir(node));
  }
  return false;
}

bool ChaosCluster::StoppedOverDamage(size_t node) {
  const auto exit = members_.server(node).WaitExit(Millis(0));
  if (exit.has_value() && !stopped_[node]) {
    ExpectRefusal(node, *exit, "stopping: ");
  }
  return exit.has_value();
}

bool ChaosCluster::EndDamaged(size_t node) {
  if (StoppedOverDamage(node)) {
    return true;
  }
  members_.server(node).Signal(SIGKILL);
  const auto exit = members_.server(node).WaitExit();
  stopped_[node] = true;
  if (exit == kKilled) {
    return false;
  }
  ExpectRefusal(node, exit.value_or(ExitStatus{}), "stopping: ");
  return true;
}

bool ChaosCluster::Recover() {
  network_.Heal();
  bool well = true;
  for (size_t node = 0; node < size(); ++node) {
    BehaveAtSync(node);
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
