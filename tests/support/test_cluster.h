// A cluster of real processes on this machine, with a client per member.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/cluster_tls.h"
#include "tests/support/rpc.h"
#include "tests/support/server_process.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {

// Until a new leader serves, at the default timeouts: an election timeout of at most 2 s, then one
// round of votes and one write.
inline constexpr Millis kFailoverMax = Millis(3000);

struct ClusterOptions {
  size_t size = 3;
  // Whether members have an HTTP port.
  bool http = false;
  // Given to every member.
  std::vector<std::string> flags;
  // Where set, members and clients speak TLS. Outlives the cluster.
  ClusterTls* tls = nullptr;
};

// Members n1, n2, ... with fixed ports and directories, stopped until started. When the test has
// failed, the end of every member's log is printed at destruction. Confined to the test's main
// thread, the clients are not.
class TestCluster {
 public:
  explicit TestCluster(const ClusterOptions& options = {});
  ~TestCluster();

  // One more node, stopped, which founds nothing: `flags` say how it becomes a member.
  size_t AddNode(const std::vector<std::string>& flags);
  // Starts every member that is not running and waits for the ready lines and a leader. False with
  // a gtest failure otherwise.
  bool StartAll();
  // Starts one member and waits for its ready line and its client's connection. False with a gtest
  // failure otherwise.
  bool Start(size_t node);
  void KillAll();

  // The member that leads, once every running one says the same, or nothing (with a gtest failure)
  // after `timeout`. A paused member counts as not running.
  std::optional<size_t> WaitForLeader(Millis timeout = Millis(15000));
  // "1 n1 voter", one for each member that `asked` tells of; empty when it does not answer.
  std::vector<std::string> Members(size_t asked);
  // Waits until founders have published what they know, and the log says what all know: from then
  // on nothing is proposed but what clients ask for. False with a gtest failure otherwise.
  bool WaitUntilPublished(Millis timeout = Millis(15000));
  // Waits until every running member has applied up to the same index, and holds the same by the
  // hash of its state; false with a gtest failure otherwise.
  bool WaitUntilEqual(Millis timeout = Millis(15000));

  size_t size() const { return servers_.size(); }
  ServerProcess& server(size_t node) { return *servers_[node]; }
  NodeClient& client(size_t node) { return *clients_[node]; }
  const std::string& client_address(size_t node) const { return clients_[node]->address(); }
  const std::string& peer_address(size_t node) const { return peer_addresses_[node]; }
  std::string data_dir(size_t node) const { return dir_.File(Name(node)); }
  static std::string Name(size_t node) { return "n" + std::to_string(node + 1); }
  // Founders are numbered by their sorted names. Of who came later that is only so as long as
  // nobody was removed.
  static uint64_t Id(size_t node) { return node + 1; }
  const TempDir& dir() const { return dir_; }

  // Pauses and resumes a member, and remembers it for WaitForLeader.
  void Pause(size_t node);
  void Resume(size_t node);
  // Some other member.
  size_t Other(size_t node) const { return (node + 1) % servers_.size(); }

 private:
  void ChoosePorts();
  bool TryStartAll();
  bool WaitReady(size_t node);
  std::optional<size_t> AgreedLeader();
  bool Answers(size_t node) { return servers_[node]->running() && !paused_[node]; }

  ClusterOptions options_;
  TempDir dir_;
  std::vector<std::string> peer_addresses_;
  std::vector<std::unique_ptr<ServerProcess>> servers_;
  std::vector<std::unique_ptr<NodeClient>> clients_;
  std::vector<bool> paused_;
};

}  // namespace raftkv::integration
