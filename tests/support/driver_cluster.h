// Several drivers with real cores in one thread, wired by a network that a test controls.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "raft/runtime/raft_driver.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_transport.h"
#include "tests/support/memory_log_store.h"
#include "tests/support/recording_state_machine.h"

namespace raftkv::raft {

// The member of a cluster of one.
inline constexpr NodeId kOnly{1};
// In ticks.
inline constexpr uint64_t kSecond = 100;

// Waits that fit elections of 10 ticks.
inline DriverOptions FastDriverOptions() {
  return {.leader_wait = 300 * kNanosPerMilli, .read_retry_after = 100 * kNanosPerMilli};
}

struct DriverClusterOptions {
  uint64_t members = 3;
  uint64_t seed = 1;
  // The election timeout is 10 ticks of 10 ms, a heartbeat 1 tick.
  DriverOptions driver = FastDriverOptions();
  uint64_t uncommitted_bytes_max = 64 << 20;
  // And of one append, if that is less than usual.
  uint64_t log_memory_bytes_max = 64 << 20;
  // Unless set, it is a failure when an audit finds that states differ.
  bool states_may_differ = false;
};

// What a proposal's or a read's callback was told; unset until then.
struct ProposalProbe {
  std::string command;
  std::optional<ProposalResult> result;
  std::string outcome;
};
struct ReadProbe {
  std::optional<ReadResult> result;
  LogIndex applied;  // At the moment of the answer.
};

// What a member's driver told of its work since the first process of that member.
struct Tally {
  std::vector<std::pair<uint64_t, uint64_t>> proposed;  // Commands and bytes of each entry.
  uint64_t applied_entries = 0;
  MonotonicNanos apply_nanos = 0;
  std::vector<ProposalResult> proposals;
  std::vector<ReadResult> reads;
  std::vector<std::pair<NodeId, bool>> snapshots_sent;  // Whether it was taken.
};

enum class Traffic { kRaft, kForwardRequest, kForwardReply, kSnapshot };

// Time stands still but for Tick. Messages between two members stay in order. Deterministic: equal
// options and equal calls give equal runs. Confined to one thread.
class DriverCluster final {
 public:
  static constexpr MonotonicNanos kTickNanos = 10 * kNanosPerMilli;
  static constexpr MonotonicNanos kElectionTimeout = 10 * kTickNanos;

  // The origin of member 1's first process; the next ones are a million apart.
  static constexpr uint64_t kFirstOrigin = 5'000'000;

  explicit DriverCluster(const DriverClusterOptions& options);

  // Delivers and runs turns until nothing is left to do.
  void Settle();
  // Moves time on by so many ticks of all members, settling after each.
  void Tick(uint64_t ticks = 1);
  // Ticks until the condition holds; false when it does not within `ticks_max`.
  [[nodiscard]] bool TickUntil(const std::function<bool()>& condition, uint64_t ticks_max = 500);
  // Ticks until one of the members that are not isolated leads, has committed in its term, and all
  // of those follow it.
  NodeId AwaitLeader();
  // The two others of three, or all others.
  std::vector<NodeId> Others(NodeId node) const;

  // Cuts a member off; what is under way to and from it is lost.
  void Isolate(NodeId node);
  void Heal();
  // Traffic for which this holds stays under way. Reset with nullptr.
  using Hold = std::function<bool(NodeId from, NodeId to, Traffic traffic)>;
  void SetHold(Hold hold) { hold_ = std::move(hold); }
  // Loses what is under way on the stream by which `from` forwards to `to`, and tells `from` unless
  // `silently`.
  void LoseForwardStream(NodeId from, NodeId to, bool silently = false);
  // Members whose driver said that their state differs stop like a process that exits.
  bool has_stopped(NodeId node) const { return stopped_.contains(node); }
  // Kills a member and starts it again from what was durable. Its probes stay unanswered.
  void Restart(NodeId node);

  std::shared_ptr<ProposalProbe> Propose(NodeId node, std::string command,
                                         MonotonicNanos timeout = 10 * kNanosPerSecond);
  // "c0", "c1", ...
  std::vector<std::shared_ptr<ProposalProbe>> ProposeMany(NodeId node, int count);
  std::shared_ptr<ReadProbe> Read(NodeId node, MonotonicNanos timeout = 10 * kNanosPerSecond);

  RaftDriver& driver(NodeId node) { return *members_.at(node).driver; }
  MemoryLogStore& store(NodeId node) { return members_.at(node).store; }
  RecordingStateMachine& machine(NodeId node) { return members_.at(node).machine; }
  FakeTransport& transport(NodeId node) { return members_.at(node).transport; }
  const std::vector<Event>& events(NodeId node) const { return members_.at(node).observer.events; }
  const Tally& tally(NodeId node) const { return members_.at(node).observer.tally; }
  // What audits found, a line each, as `node` told it.
  const std::vector<std::string>& audit_findings(NodeId node) const {
    return members_.at(node).observer.audit_findings;
  }
  // Up to where the log was trimmed while a snapshot was under way that ends before.
  const std::vector<LogIndex>& outrun(NodeId node) const {
    return members_.at(node).observer.outrun;
  }
  // Each list that `node` observed, in order.
  const std::vector<std::vector<NodeId>>& low_on_disk(NodeId node) const {
    return members_.at(node).observer.low_on_disk;
  }
  FakeClock& clock() { return clock_; }
  std::vector<NodeId> nodes() const;
  // How many snapshots `node` began to send.
  uint64_t snapshots_begun(NodeId node) const { return members_.at(node).snapshots_begun; }
  uint64_t snapshots_under_way() const { return snapshots_.size(); }
  bool snapshot_under_way_to(NodeId node) const {
    return std::any_of(snapshots_.begin(), snapshots_.end(),
                       [node](const auto& item) { return item.first.second == node; });
  }
  // Every Raft message that `node` sent, in order.
  const std::vector<FakeTransport::SentMessage>& sent(NodeId node) {
    return members_.at(node).sent;
  }
  void ForgetSent();

 private:
  struct RecordingObserver final : DriverObserver {
    void OnEvent(const Event& event) override { events.push_back(event); }
    void OnEntryProposed(uint64_t commands, uint64_t bytes) override {
      tally.proposed.emplace_back(commands, bytes);
    }
    void OnApplied(uint64_t entries, MonotonicNanos took) override {
      tally.applied_entries += entries;
      tally.apply_nanos += took;
    }
    void OnProposalAnswered(ProposalResult result) override { tally.proposals.push_back(result); }
    void OnReadAnswered(ReadResult result) override { tally.reads.push_back(result); }
    void OnSnapshotSent(NodeId peer, const absl::Status& status) override {
      tally.snapshots_sent.emplace_back(peer, status.ok());
    }
    void OnSnapshotOutrun(NodeId /*peer*/, LogIndex through) override { outrun.push_back(through); }
    void OnStateDiffers(const StateDifference& difference) override;
    void OnMemberDiffers(NodeId member, const StateDifference& difference) override;
    void OnStatesDisagree(LogIndex index) override;
    void OnLowOnDisk(const std::vector<NodeId>& members) override {
      low_on_disk.push_back(members);
    }
    std::vector<Event> events;
    Tally tally;
    std::vector<LogIndex> outrun;
    std::vector<std::string> audit_findings;
    bool differs = false;  // And the driver has not stopped yet.
    std::vector<std::vector<NodeId>> low_on_disk;
  };
  struct Member {
    FakeTransport transport;
    MemoryLogStore store;
    RecordingStateMachine machine;
    RecordingObserver observer;
    std::vector<FakeTransport::SentMessage> sent;
    uint64_t snapshots_begun = 0;
    std::unique_ptr<RaftDriver> driver;
  };
  struct UnderWay {
    NodeId from;
    NodeId to;
    std::variant<FakeTransport::SentMessage, ForwardRequest, ForwardReply> content;

    Traffic traffic() const { return static_cast<Traffic>(content.index()); }
  };

  // A snapshot on its way: offered, staged, offered for installing, answered.
  struct SnapshotUnderWay {
    Term term;
    std::unique_ptr<SnapshotReader> reader;
    std::unique_ptr<SnapshotWriter> writer = nullptr;
    bool is_offered = false;
    std::shared_ptr<std::optional<absl::Status>> answer =
        std::make_shared<std::optional<absl::Status>>();
  };
  using Link = std::pair<NodeId, NodeId>;

  void Start(NodeId node);
  void StopWhoDiffers();
  void CollectSnapshots(NodeId node);
  // Returns whether any moved on.
  bool CarrySnapshots();
  bool CarrySnapshot(const Link& link, SnapshotUnderWay* snapshot);
  void StageSnapshot(const Link& link, SnapshotUnderWay* snapshot);
  void CollectSent();
  bool Deliver();
  void DeliverOne(UnderWay item);
  bool IsAway(NodeId node) const { return isolated_.contains(node) || stopped_.contains(node); }
  bool IsCut(NodeId from, NodeId to) const;
  void BreakStreams(NodeId node);

  const DriverClusterOptions options_;
  FakeClock clock_;
  std::map<NodeId, Member> members_;
  std::set<NodeId> isolated_;
  std::set<NodeId> stopped_;
  Hold hold_;
  std::deque<UnderWay> under_way_;
  std::map<Link, SnapshotUnderWay> snapshots_;
  uint64_t next_origin_ = kFirstOrigin;
};

}  // namespace raftkv::raft
