// A cluster that harm is done to on purpose: with a disk of its own for every member, a network in
// this process, and syncs that misbehave on demand. It knows which members are down because
// somebody wanted it, so that a member that ends by itself is noticed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/chaos/loop_disk.h"
#include "tests/chaos/peer_network.h"
#include "tests/support/shifted_clock.h"
#include "tests/support/test_cluster.h"

namespace raftkv::chaos {

// Gives this process mounts and an /etc/hosts of its own. Call it before any thread is started. Not
// ok when this machine does not let us.
absl::Status TryNames();

struct ChaosClusterOptions {
  size_t size = 3;
  // Whether members get disks of their own. REQUIRES: TryDisks succeeded.
  bool disks = false;
  // Whether wall clocks can be shifted.
  bool clocks = false;
  // Whether members know each other by names. REQUIRES: TryNames succeeded.
  bool names = false;
  // Whether everybody speaks TLS and shows certificates.
  bool tls = false;
};

// Stopped until started. Whatever goes wrong is a gtest failure. Confined to the main thread, the
// clients of `members` are not.
class ChaosCluster {
 public:
  explicit ChaosCluster(const ChaosClusterOptions& options);

  // Founds the cluster. False with a gtest failure when there is no leader then.
  bool Start();

  integration::TestCluster& members() { return members_; }
  PeerNetwork& network() { return network_; }
  size_t size() const { return members_.size(); }
  std::vector<size_t> all() const;
  // Who leads now, by its own word; nothing when nobody does for some seconds.
  std::optional<size_t> FindLeader();
  // Whether the member says now that it leads.
  bool Leads(size_t node);
  // The newest that anybody who answers knows; 0 when nobody does.
  uint64_t NewestTerm();

  // kill -9, all at once.
  void Kill(const std::vector<size_t>& nodes);
  // SIGTERM; it must end well.
  void Stop(size_t node);
  // SIGSTOP and SIGCONT.
  void Freeze(size_t node) { members_.Pause(node); }
  void Thaw(size_t node) { members_.Resume(node); }
  // Cuts the power of these disks at once; the processes are killed, and the disks are mounted as
  // after a reboot. REQUIRES: disks.
  void CutPower(const std::vector<size_t>& nodes);

  // The member's wall clock. REQUIRES: clocks.
  integration::ShiftedClock& clock(size_t node) { return *clocks_[node]; }

  // Peer ports of stopped members from their next start on: new ones, or each gets the next one's.
  // Everybody's --initial_cluster says so then; where `quietly`, the members' --advertise_peer
  // alone does. REQUIRES: stopped.
  void MoveToNewPorts(const std::vector<size_t>& nodes, bool quietly);
  void ExchangePorts(const std::vector<size_t>& nodes);
  // Names of stopped members get new addresses, or each gets the next one's; nobody is told.
  // REQUIRES: names; stopped.
  void MoveNames(const std::vector<size_t>& nodes);
  void ExchangeNames(const std::vector<size_t>& nodes);
  // Whether the member answers a linearizable read within `timeout`.
  bool AwaitServing(size_t node, integration::Millis timeout);

  // From here on syncs of the member do what fail_sync.c understands by `how`: "error", "delay
  // 100", "lie".
  void MisbehaveAtSync(size_t node, const std::string& how);
  void BehaveAtSync(size_t node);
  // Whether a sync has met that since MisbehaveAtSync.
  bool FeltAtSync(size_t node) const;
  // REQUIRES: disks.
  void FillDisk(size_t node) { disks_[node]->Fill(); }
  void FreeDisk(size_t node) { disks_[node]->Free(); }
  // Whether the member has aborted by now, or does within `timeout`, as it must when it cannot
  // write.
  bool AwaitAbort(size_t node, integration::Millis timeout);

  // Starts a member whose files are damaged. False when it refuses, as it must say: exit code 2 and
  // a last line that names its directory. Any other end is a gtest failure. REQUIRES: stopped.
  bool StartDamaged(size_t node);
  // Whether a member that StartDamaged has started has stopped by now because it met the damage:
  // with exit code 2 and a last line that says so. Any other end is a gtest failure.
  bool StoppedOverDamage(size_t node);
  // kill -9 of such a member. Whether it had stopped before that.
  bool EndDamaged(size_t node);

  // Heals the network and the syncs, and starts everybody who is down. False with a gtest failure
  // when somebody is down whom nobody stopped, or does not start.
  bool Recover();

 private:
  // Where a member listens for peers.
  struct Place {
    std::string ip;
    int port;
  };

  void PrepareServers();
  std::string ListenAddress(size_t node) const;
  // What others are told.
  std::string DialAddress(size_t node) const;
  std::string RedirectsPath(size_t node) const;
  // The places have changed: tells the network, the names, and at the next start the members.
  void TellPlaces();
  void TellInitialCluster();
  bool CreateDisks();
  std::string SyncMarker(size_t node) const;
  void ExpectRefusal(size_t node, const integration::ExitStatus& exit, const std::string& said);

  const ChaosClusterOptions options_;
  // Null: plain text.
  const std::unique_ptr<integration::ClusterTls> tls_;
  integration::TestCluster members_;
  // By node.
  std::vector<Place> places_;
  PeerNetwork network_;
  std::vector<std::unique_ptr<integration::ShiftedClock>> clocks_;
  // How often names got new addresses.
  int address_series_ = 1;
  // Empty, or by node. Gone before the directories that they are mounted on.
  std::vector<std::unique_ptr<LoopDisk>> disks_;
  // By node.
  std::vector<bool> stopped_;
};

}  // namespace raftkv::chaos
