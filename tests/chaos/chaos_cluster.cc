#include "tests/chaos/chaos_cluster.h"

#include <glog/logging.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <numeric>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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
constexpr Millis kReadMax(1000);
constexpr char kHostsFile[] = "/etc/hosts";
constexpr ExitStatus kDamaged{.code = 2, .signal = -1};

// A member's own, from one series of addresses of 127.0.0.0/8 after the other.
std::string NextIp(int series, size_t node) {
  return absl::StrCat("127.", series / 250 + 1, ".", series % 250, ".", node + 1);
}

std::string HostName(size_t node) { return absl::StrCat(TestCluster::Name(node), ".chaos.test"); }

std::vector<std::string> NamesOf(size_t size) {
  std::vector<std::string> names;
  for (size_t node = 0; node < size; ++node) {
    names.push_back(TestCluster::Name(node));
  }
  return names;
}

int PortOf(const std::string& address) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(address, ':');
  int port = 0;
  CHECK(absl::SimpleAtoi(parts.second, &port)) << address;
  return port;
}

}  // namespace

absl::Status TryNames() {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return absl::ErrnoToStatus(errno, "no mounts of our own");
  }
  const integration::TempDir dir;
  integration::WriteFile(dir.File("hosts"), "127.0.0.1 localhost\n");
  // The file itself may go then: the mount holds it.
  return mount(dir.File("hosts").c_str(), kHostsFile, nullptr, MS_BIND, nullptr) == 0
             ? absl::OkStatus()
             : absl::ErrnoToStatus(errno, "no /etc/hosts of our own");
}

ChaosCluster::ChaosCluster(const ChaosClusterOptions& options)
    : options_(options),
      tls_(options.tls ? std::make_unique<integration::ClusterTls>(NamesOf(options.size))
                       : nullptr),
      members_({.size = options.size, .flags = {}, .tls = tls_.get()}),
      network_(std::vector<std::string>(options.size)),
      stopped_(options.size, false) {
  for (size_t node = 0; node < size(); ++node) {
    places_.push_back({.ip = options_.names ? NextIp(address_series_, node) : "127.0.0.1",
                       .port = PortOf(members_.peer_address(node))});
    if (options_.clocks) {
      clocks_.push_back(std::make_unique<integration::ShiftedClock>(
          members_.dir().File(absl::StrCat("clock.", TestCluster::Name(node)))));
    }
  }
  PrepareServers();
  TellPlaces();
  TellInitialCluster();
}

void ChaosCluster::PrepareServers() {
  for (size_t node = 0; node < size(); ++node) {
    std::vector<std::string>& env = members_.server(node).options().env;
    env = {absl::StrCat("LD_PRELOAD=", FAIL_SYNC_PATH, ":", REDIRECT_CONNECT_PATH,
                        options_.clocks ? ":" SHIFTED_CLOCK_PATH : ""),
           absl::StrCat("FAIL_SYNC_WHILE=", SyncMarker(node)),
           absl::StrCat("REDIRECT_CONNECT=", RedirectsPath(node))};
    if (options_.clocks) {
      env.push_back(clocks_[node]->environment());
    }
  }
}

std::string ChaosCluster::ListenAddress(size_t node) const {
  return absl::StrCat(places_[node].ip, ":", places_[node].port);
}

std::string ChaosCluster::DialAddress(size_t node) const {
  return options_.names ? absl::StrCat(HostName(node), ":", places_[node].port)
                        : ListenAddress(node);
}

std::string ChaosCluster::RedirectsPath(size_t node) const {
  return members_.dir().File(absl::StrCat("redirects.", TestCluster::Name(node)));
}

void ChaosCluster::TellPlaces() {
  std::string hosts = "127.0.0.1 localhost\n";
  for (size_t node = 0; node < size(); ++node) {
    network_.Move(node, ListenAddress(node));
    members_.server(node).options().listen_peer = ListenAddress(node);
    // So little that who is away for some seconds needs a snapshot.
    std::vector<std::string>& flags = members_.server(node).options().flags;
    flags = {absl::StrCat("--advertise_peer=", DialAddress(node)), "--log_bytes_max=1MiB"};
    if (tls_ != nullptr) {
      for (const std::string& flag : tls_->FlagsOf(TestCluster::Name(node))) {
        flags.push_back(flag);
      }
    }
    absl::StrAppend(&hosts, places_[node].ip, " ", HostName(node), "\n");
  }
  for (size_t node = 0; node < size(); ++node) {
    const std::string path = RedirectsPath(node);
    integration::WriteFile(absl::StrCat(path, ".new"), network_.RedirectsOf(node));
    std::filesystem::rename(absl::StrCat(path, ".new"), path);
  }
  if (options_.names) {
    integration::WriteFile(kHostsFile, hosts);
  }
}

void ChaosCluster::TellInitialCluster() {
  std::vector<std::string> entries;
  for (size_t node = 0; node < size(); ++node) {
    entries.push_back(absl::StrCat(TestCluster::Name(node), "=", DialAddress(node)));
  }
  for (size_t node = 0; node < size(); ++node) {
    members_.server(node).options().initial_cluster = absl::StrJoin(entries, ",");
  }
}

void ChaosCluster::MoveToNewPorts(const std::vector<size_t>& nodes, bool quietly) {
  for (const size_t node : nodes) {
    places_[node].port = integration::PickFreePort();
  }
  TellPlaces();
  if (!quietly) {
    TellInitialCluster();
  }
}

void ChaosCluster::ExchangePorts(const std::vector<size_t>& nodes) {
  for (size_t i = 1; i < nodes.size(); ++i) {
    std::swap(places_[nodes[i - 1]].port, places_[nodes[i]].port);
  }
  TellPlaces();
  TellInitialCluster();
}

void ChaosCluster::MoveNames(const std::vector<size_t>& nodes) {
  ++address_series_;
  for (const size_t node : nodes) {
    places_[node].ip = NextIp(address_series_, node);
  }
  TellPlaces();
}

void ChaosCluster::ExchangeNames(const std::vector<size_t>& nodes) {
  for (size_t i = 1; i < nodes.size(); ++i) {
    std::swap(places_[nodes[i - 1]].ip, places_[nodes[i]].ip);
  }
  TellPlaces();
}

bool ChaosCluster::AwaitServing(size_t node, Millis timeout) {
  return integration::WaitUntil(
      timeout, [&] { return members_.client(node).GetText("any", kReadMax).ok(); });
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

uint64_t ChaosCluster::NewestTerm() {
  uint64_t term = 0;
  for (size_t node = 0; node < size(); ++node) {
    const auto status = members_.client(node).GetStatus(kStatusMax);
    term = std::max(term, status.ok() ? status->header().raft_term() : 0);
  }
  return term;
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
