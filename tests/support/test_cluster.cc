#include "tests/support/test_cluster.h"

#include <gtest/gtest.h>

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace raftkv::integration {
namespace {

// How often a cluster is set up anew because somebody took one of its ports between choosing and
// listening.
constexpr int kStartsMax = 3;

}  // namespace

TestCluster::TestCluster(const ClusterOptions& options)
    : options_(options), paused_(options.size, false) {
  ChoosePorts();
}

TestCluster::~TestCluster() {
  for (const auto& server : servers_) {
    if (testing::Test::HasFailure() && !server->log_path().empty()) {
      std::cerr << server->LogTail();
    }
  }
}

void TestCluster::ChoosePorts() {
  peer_addresses_.clear();
  servers_.clear();
  clients_.clear();
  std::vector<std::string> entries;
  for (size_t node = 0; node < options_.size; ++node) {
    peer_addresses_.push_back(Loopback(PickFreePort()));
    entries.push_back(absl::StrCat(Name(node), "=", peer_addresses_.back()));
  }
  for (size_t node = 0; node < options_.size; ++node) {
    const std::string client_address = Loopback(PickFreePort());
    servers_.push_back(std::make_unique<ServerProcess>(
        ServerOptions{.name = Name(node),
                      .data_dir = data_dir(node),
                      .listen_client = client_address,
                      .listen_peer = peer_addresses_[node],
                      .listen_http = options_.http ? "127.0.0.1:0" : "",
                      .initial_cluster = absl::StrJoin(entries, ","),
                      .flags = options_.flags,
                      .env = {}}));
    if (options_.tls != nullptr) {
      for (const std::string& flag : options_.tls->FlagsOf(Name(node))) {
        servers_.back()->options().flags.push_back(flag);
      }
    }
    clients_.push_back(std::make_unique<NodeClient>(
        client_address, options_.tls != nullptr ? options_.tls->Credentials()
                                                : grpc::InsecureChannelCredentials()));
  }
}

size_t TestCluster::AddNode(const std::vector<std::string>& flags) {
  const size_t node = servers_.size();
  peer_addresses_.push_back(Loopback(PickFreePort()));
  const std::string client_address = Loopback(PickFreePort());
  servers_.push_back(std::make_unique<ServerProcess>(
      ServerOptions{.name = Name(node),
                    .data_dir = data_dir(node),
                    .listen_client = client_address,
                    .listen_peer = peer_addresses_[node],
                    .listen_http = options_.http ? "127.0.0.1:0" : "",
                    .initial_cluster = "",
                    .flags = options_.flags,
                    .env = {}}));
  for (const std::string& flag : flags) {
    servers_.back()->options().flags.push_back(flag);
  }
  if (options_.tls != nullptr) {
    for (const std::string& flag : options_.tls->FlagsOf(Name(node))) {
      servers_.back()->options().flags.push_back(flag);
    }
  }
  clients_.push_back(std::make_unique<NodeClient>(
      client_address,
      options_.tls != nullptr ? options_.tls->Credentials() : grpc::InsecureChannelCredentials()));
  paused_.push_back(false);
  return node;
}

bool TestCluster::TryStartAll() {
  for (auto& server : servers_) {
    if (!server->running()) {
      server->Start();
    }
  }
  bool ready = true;
  for (size_t node = 0; node < size(); ++node) {
    ready = WaitReady(node) && ready;
  }
  return ready;
}

bool TestCluster::StartAll() {
  const bool founding = servers_[0]->log_path().empty();
  for (int tries = 1; !TryStartAll(); ++tries) {
    bool port_taken = false;
    for (auto& server : servers_) {
      port_taken = port_taken || (server->WaitExit(Millis(0)) == ExitStatus{.code = 1} &&
                                  absl::StrContains(server->Log(), "in use"));
    }
    if (!founding || !port_taken || tries == kStartsMax) {
      ADD_FAILURE() << "the cluster does not start";
      return false;
    }
    KillAll();
    for (size_t node = 0; node < size(); ++node) {
      std::filesystem::remove_all(data_dir(node));
    }
    ChoosePorts();
  }
  return WaitForLeader().has_value();
}

bool TestCluster::WaitReady(size_t node) {
  if (!servers_[node]->WaitReady()) {
    return false;
  }
  // A client that has not noticed yet that its connection is dead, or waits before it dials again,
  // fails the next call whatever the member does.
  Reply<v1::GetStatusResponse> status;
  const bool answers = WaitUntil(Millis(10000), [&] {
    status = clients_[node]->GetStatus(Millis(1000));
    return status.ok();
  });
  EXPECT_TRUE(answers) << Name(node) << " is ready, but does not answer: " << status;
  return answers;
}

bool TestCluster::Start(size_t node) {
  servers_[node]->Start();
  const bool ready = WaitReady(node);
  EXPECT_TRUE(ready) << Name(node) << " does not become ready\n" << servers_[node]->LogTail();
  return ready;
}

void TestCluster::KillAll() {
  for (auto& server : servers_) {
    if (server->running()) {
      server->Signal(SIGKILL);
    }
  }
  for (auto& server : servers_) {
    EXPECT_TRUE(server->WaitExit().has_value());
  }
  paused_.assign(size(), false);
}

std::optional<size_t> TestCluster::WaitForLeader(Millis timeout) {
  std::optional<size_t> leader;
  EXPECT_TRUE(WaitUntil(timeout, [&] {
    leader = AgreedLeader();
    return leader.has_value();
  })) << "no leader";
  return leader;
}

std::optional<size_t> TestCluster::AgreedLeader() {
  std::optional<size_t> leader;
  std::optional<std::pair<uint64_t, uint64_t>> agreed;
  for (size_t node = 0; node < size(); ++node) {
    if (!Answers(node)) {
      continue;
    }
    const auto status = clients_[node]->GetStatus(Millis(1000));
    if (!status.ok() || status->header().leader_id() == 0) {
      return std::nullopt;
    }
    const std::pair said(status->header().leader_id(), status->header().raft_term());
    const bool leads = status->raft_state() == v1::RAFT_STATE_LEADER;
    if (leads != (said.first == status->header().member_id()) || agreed.value_or(said) != said) {
      return std::nullopt;
    }
    agreed = said;
    if (leads) {
      leader = node;
    }
  }
  return leader;
}

std::vector<std::string> TestCluster::Members(size_t asked) {
  std::vector<std::string> members;
  const auto list = client(asked).ListMembers({}, Millis(2000));
  for (const v1::Member& member : list->members()) {
    members.push_back(absl::StrCat(member.id(), " ", member.name(), " ",
                                   member.role() == v1::MEMBER_ROLE_VOTER ? "voter" : "learner"));
  }
  return members;
}

bool TestCluster::WaitUntilPublished(Millis timeout) {
  const bool published = WaitUntil(timeout, [&] {
    return std::all_of(servers_.begin(), servers_.end(), [](const auto& server) {
      return absl::StrContains(server->Log(), "that is the cluster version now");
    });
  });
  EXPECT_TRUE(published) << "the cluster version is not raised";
  return published;
}

bool TestCluster::WaitUntilEqual(Millis timeout) {
  std::string last;
  const bool equal = WaitUntil(timeout, [&] {
    std::optional<std::string> first;
    last.clear();
    bool same = true;
    for (size_t node = 0; node < size(); ++node) {
      if (!Answers(node)) {
        continue;
      }
      const auto hash = clients_[node]->VerifyHash({}, Millis(1000));
      const std::string state =
          hash.ok() ? absl::StrCat("revision ", hash->revision(), " applied ", hash->index(),
                                   " keys ", hash->key_count(), " hash ", hash->state_hash())
                    : hash.status.error_message();
      absl::StrAppend(&last, Name(node), ": ", state, "\n");
      same = same && hash.ok() && first.value_or(state) == state;
      first = first.value_or(state);
    }
    return same;
  });
  EXPECT_TRUE(equal) << "members differ:\n" << last;
  return equal;
}

void TestCluster::Pause(size_t node) {
  servers_[node]->Pause();
  paused_[node] = true;
}

void TestCluster::Resume(size_t node) {
  servers_[node]->Resume();
  paused_[node] = false;
}

}  // namespace raftkv::integration
