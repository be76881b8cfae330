// One node: a machine with a clock and a disk, and the process that runs on it, when it does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "kv/member.h"
#include "kv/member_list.h"
#include "raft/runtime/raft_driver.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/frames.h"
#include "tests/simulation/kv_front.h"
#include "tests/simulation/network.h"
#include "tests/simulation/options.h"
#include "tests/simulation/process_events.h"
#include "tests/simulation/sim_clock.h"
#include "tests/simulation/sim_disk.h"
#include "tests/simulation/sim_disk_pool.h"
#include "tests/simulation/sim_log_store.h"
#include "tests/simulation/sim_state_machine.h"
#include "tests/simulation/sim_transport.h"
#include "tests/simulation/snapshot_receiver.h"
#include "tests/simulation/snapshot_sender.h"
#include "tests/simulation/trace.h"

namespace raftkv::simulation {

class SimNode;

// Hears what nodes do, as it happens.
class NodeObserver {
 public:
  virtual ~NodeObserver() = default;

  virtual void OnStarted(const SimNode& node) = 0;
  virtual void OnSent(const SimNode& node, const raft::Envelope& envelope) = 0;
  virtual void OnWrite(const SimNode& node, const raft::LogWrite& write) = 0;
  virtual void OnApplied(const SimNode& node, const std::vector<AppliedStep>& steps) = 0;
  // A node hands a trim to its disk, and, as the leader of `term`, begins to bring a snapshot.
  virtual void OnTrim(const SimNode& node, raft::LogIndex through) = 0;
  virtual void OnSnapshotSent(const SimNode& node, raft::NodeId peer, raft::Term term,
                              const raft::SnapshotPoint& point) = 0;
  // A node hands a snapshot to its disk, to install it.
  virtual void OnInstall(const SimNode& node) = 0;
  // A snapshot has become the state of a node, on its disk and in memory.
  virtual void OnSnapshotAdopted(const SimNode& node, const raft::SnapshotPoint& point) = 0;
  virtual void OnEvent(const SimNode& node, const raft::Event& event) = 0;
  // As raft::DriverObserver's.
  virtual void OnReadAsked(const SimNode& node, raft::ReadId id, raft::NodeId asker) = 0;
  virtual void OnReadOutcome(const SimNode& node, const raft::ReadOutcome& outcome) = 0;
  // An audit found this node's state to be wrong; its process ends, and somebody will have put the
  // state right before the next one.
  virtual void OnStateDiffers(const SimNode& node) = 0;
  // As a leader: `text` is what an audit found of others.
  virtual void OnAuditFinding(const SimNode& node, const std::string& text) = 0;
  // The driver's turn is over.
  virtual void OnTurn(const SimNode& node) = 0;
  // The process gave up, as it must when its disk fails. It is gone when this returns.
  virtual void OnAborted(const SimNode& node) = 0;
};

enum class Ending {
  kKilled,     // The process is gone; what it wrote is not.
  kPowerLost,  // The machine is off: what was not synced may be lost.
  kStopped,    // In good order.
};

// Confined to one thread.
class SimNode final : public Endpoint, public raft::DriverObserver {
 public:
  // What a node shares with its cluster. Borrowed.
  struct Surroundings {
    const SimOptions* options;
    Scheduler* scheduler;
    Network* network;
    Trace* trace;
    Counters* counters;
    NodeObserver* observer;
  };

  SimNode(raft::NodeId id, const Surroundings& surroundings);
  ~SimNode() override;

  // Starts a process from what the disk holds. REQUIRES: !is_up().
  void Start();
  // REQUIRES: is_up().
  void End(Ending ending);
  // REQUIRES: is_up().
  void Bend();
  void Straighten();
  // Whether its state, on disk when it is not up, says what its rows do not come to.
  bool is_bent() const;
  // SIGSTOP and SIGCONT. REQUIRES: is_up().
  void Pause();
  void Continue();
  // An administrator's request arrives. REQUIRES: is_running().
  void TransferLeadership(raft::NodeId target, raft::TransferCallback done);
  // It finds `peer` not to take connections, rightly or not. REQUIRES: is_running().
  void FindUnreachable(raft::NodeId peer);
  // The same, for who is a member. REQUIRES: is_running().
  void ChangeMembers(kv::Membership::Change change, kv::Membership::Done done);
  // Whether its own applied configuration says that it was removed. REQUIRES: is_up().
  bool is_removed() const { return process_->directory.IsRemoved(id_.value()); }
  // The largest id that any member has had, as far as its log says. REQUIRES: is_up().
  uint64_t last_member_id() const { return kv::LastMemberId(process_->directory.newest()); }
  // A client's request arrives. REQUIRES: is_up().
  void Handle(Request request, ReplyCallback done);

  raft::NodeId id() const { return id_; }
  bool is_up() const { return process_ != nullptr; }
  bool is_paused() const { return is_up() && process_->events.stopped(); }
  bool is_running() const { return is_up() && !is_paused(); }
  // REQUIRES: is_up().
  const raft::RaftDriver& driver() const { return process_->member->driver(); }
  const raft::RaftCore& core() const { return driver().core(); }
  const SimStateMachine& state_machine() const { return process_->state_machine; }
  kv::WatchHub& watches() { return process_->member->watches(); }
  kv::Store& store() { return process_->member->store(); }
  const SimClock& clock() const { return process_->clock; }

  const SimDisk& disk() const { return disk_; }
  DiskFaults& disk_faults() { return disk_faults_; }
  // Turns of a slow process take up to so long to begin.
  void SetTurnDelay(SimTime delay_max) { turn_delay_max_ = delay_max; }

 private:
  // All that ends with the process. Destroyed in the reverse order.
  struct Process {
    explicit Process(SimNode* node);

    ProcessEvents events;
    const SimClock clock;
    SnapshotSender snapshot_sender;
    SimTransport transport;
    SimLogStore log_store;
    SimStateMachine state_machine;
    SimDiskPool disk_pool;
    kv::MemberDirectory directory;
    std::unique_ptr<kv::Member> member;
    std::unique_ptr<KvFront> front;
    std::unique_ptr<SnapshotReceiver> snapshot_receiver;
    bool turn_due = false;
    bool aborting = false;
    std::set<raft::NodeId> lost_append_streams;
    std::set<raft::NodeId> lost_forward_streams;
    std::set<raft::NodeId> lost_snapshot_streams;
  };
  // Endpoint.
  void OnFrame(raft::NodeId from, Frame frame) override;
  void OnPart(raft::NodeId from, raft::Term term, std::function<void()> take) override;
  void OnPartTaken(raft::NodeId peer) override;
  void OnAppendStreamLost(raft::NodeId peer) override;
  void OnForwardStreamLost(raft::NodeId peer) override;
  void OnSnapshotStreamLost(raft::NodeId peer) override;
  void Wake() override;
  // DriverObserver.
  void OnEvent(const raft::Event& event) override;
  void OnReadAsked(raft::ReadId id, raft::NodeId asker) override;
  void OnReadOutcome(const raft::ReadOutcome& outcome) override;
  void OnSnapshotOutrun(raft::NodeId peer, raft::LogIndex through) override;
  void OnStateDiffers(const raft::StateDifference& difference) override;
  void OnMemberDiffers(raft::NodeId member, const raft::StateDifference& difference) override;
  void OnStatesDisagree(raft::LogIndex index) override;

  void OnSent(const raft::Envelope& envelope);
  void OnWrite(const raft::LogWrite& write);
  void OnApplied(const std::vector<AppliedStep>& steps);
  void OnTrim(raft::LogIndex through);
  SnapshotSender::Hooks SnapshotHooks();
  void OnSnapshotBegun(raft::NodeId peer, raft::Term term, const raft::SnapshotPoint& point);
  void OnSnapshotEnded(raft::NodeId peer, const absl::Status& status);
  void OnAdopted(const raft::SnapshotPoint& point);

  raft::RestoredState Restore();
  raft::ClusterReading RestoredClock() const;
  void TakeFrame(raft::NodeId from, Frame frame);
  void TakeSnapshotFrame(raft::NodeId from, Frame frame);
  void Tick();
  void RequestTurn();
  void RunTurn();
  void OnFailedSync();

  // Constant after construction.
  const raft::NodeId id_;
  const SimOptions& options_;
  Scheduler& scheduler_;
  Network& network_;
  Trace& trace_;
  Counters& counters_;
  NodeObserver& observer_;
  const int64_t drift_ppm_;

  // The machine.
  Dice dice_;
  SimDisk disk_;
  DiskFaults disk_faults_;
  SimTime turn_delay_max_;

  uint64_t pauses_ = 0;

  std::unique_ptr<Process> process_;
};

}  // namespace raftkv::simulation
