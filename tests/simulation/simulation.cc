#include "tests/simulation/simulation.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "raft/runtime/state_audit.h"
#include "tests/linearizability/checker.h"
#include "tests/linearizability/revision_rules.h"
#include "tests/simulation/client_history.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/nemesis.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace raftkv::simulation {

using raft::NodeId;

namespace {

// Within so many election timeouts of the end of all faults, writes succeed again.
constexpr int64_t kWritableTimeouts = 20;
// And within so many more the nodes agree.
constexpr int64_t kAgreedTimeouts = 20;
// And so many until the node with the highest priority leads, which its leader may have asked in
// vain, and then does not for 60, by a clock that may be slow.
constexpr int64_t kPreferredTimeouts = 120;
// What the faults have left behind is over by then, and by a silence limit (at most 4.5) more.
constexpr int64_t kCalmTimeouts = 2;
// How long each attempt may take.
constexpr int64_t kAskTimeouts = 4;
// A run that is not over by then hangs.
constexpr int64_t kRunTimeouts = 5000;
// How long clients go on in a cluster that is well, how long each answer may take, and the whole.
constexpr uint64_t kOperationsWhenWell = 60;
constexpr int64_t kAnswerTimeouts = 20;
constexpr int64_t kWellTimeouts = 400;

class Run {
 public:
  Run(const SimOptions& options, bool print_trace)
      : options_(options),
        trace_(&scheduler_, print_trace),
        cluster_(&options_, &trace_, &scheduler_, &counters_),
        clients_(&options_, &scheduler_, &trace_, &cluster_, &counters_),
        nemesis_(&options_, &scheduler_, &trace_, &cluster_, &counters_),
        dice_(options.seed, "run") {}

  RunResult Do() {
    clients_.Start();
    nemesis_.Start();
    RunUntil([this] { return clients_.finished(); }, kRunTimeouts * Timeout(),
             "the clients do not come to an end");
    if (IsSafe()) {
      Recover();
    }
    if (IsSafe()) {
      StayWell();
    }
    if (IsSafe()) {
      CheckAtEnd();
    }
    return Result();
  }

 private:
  SimTime Timeout() const { return options_.ElectionTimeout(); }
  bool IsSafe() const { return !gave_up_ && cluster_.final_findings().empty(); }

  // Runs until the condition holds, or something is found. Not within `limit` is a finding as well.
  void RunUntil(const std::function<bool()>& condition, SimTime limit, absl::string_view what) {
    const SimTime end = scheduler_.now() + limit;
    while (IsSafe() && !condition()) {
      if (scheduler_.now() > end || !scheduler_.RunNext()) {
        cluster_.findings().Expect(false, [&] { return std::string(what); });
        gave_up_ = true;
      }
    }
  }

  void Recover() {
    std::vector<NodeId> nodes = cluster_.ids();
    for (size_t i = nodes.size(); i > 1; --i) {
      std::swap(nodes[i - 1], nodes[dice_.Below(i)]);
    }
    const size_t majority = nodes.size() / 2 + 1;
    const size_t working = majority + dice_.Below(nodes.size() - majority + 1);
    // It takes a majority that is right to find out who is wrong.
    core_.insert(nodes.begin(), options_.bends || options_.changes_members
                                    ? nodes.end()
                                    : nodes.begin() + static_cast<ptrdiff_t>(working));
    nemesis_.Freeze(core_);
    clients_.BecomeReliable();
    const SimTime audited = scheduler_.now() + AuditedWithin();
    RunUntil(
        [&] {
          if (scheduler_.now() >= audited) {
            cluster_.StraightenUnfindable();
          }
          return !cluster_.AnyBent();
        },
        2 * AuditedWithin(), "a state that is wrong is not found");
    AskUntilAnswered([this] { return clients_.DrawPlainPut(); }, &writable_);
    RunUntil(
        [this] { return writable_; }, kWritableTimeouts * Timeout(),
        absl::StrCat("not writable ", kWritableTimeouts, " election timeouts after all faults"));
    if (IsSafe() && options_.changes_members) {
      SettleMembers();
    }
    if (!IsSafe()) {
      return;
    }
    AwaitPreferredLeader();
    // What the faults have left: keys that came due while nobody led, packets that were late
    // already, streams whose end nobody has noticed.
    const SimTime calm = scheduler_.now() + options_.silence_limit + kCalmTimeouts * Timeout();
    RunUntil([&] { return scheduler_.now() >= calm && HaveAgreed() && NothingIsOverdue(); },
             kAgreedTimeouts * Timeout(), "the nodes do not come to agree");
  }

  // Of those that work, who has the highest priority comes to lead. It may have been in no state
  // to take over when it was asked last.
  void AwaitPreferredLeader() {
    if (options_.priorities.empty()) {
      return;
    }
    RunUntil(
        [this] {
          const NodeId leader = cluster_.Leader();
          return leader != raft::kNobody &&
                 std::all_of(core_.begin(), core_.end(), [&](NodeId node) {
                   return options_.PriorityOf(node) <= options_.PriorityOf(leader) ||
                          !cluster_.node(leader).core().configuration().voters.contains(node);
                 });
        },
        kPreferredTimeouts * Timeout(), "who has the highest priority does not come to lead");
  }

  // No change of members is left half done, and who is none is gone, as it would hear sooner or
  // later.
  void SettleMembers() {
    const auto is_settled = [this] {
      const NodeId leader = cluster_.Leader();
      if (leader == raft::kNobody) {
        return false;
      }
      const raft::RaftCore& core = cluster_.node(leader).core();
      return core.has_committed_in_term() && core.is_configuration_committed() &&
             !core.configuration().IsJoint();
    };
    RunUntil(is_settled, kAgreedTimeouts * Timeout(), "a change of members is left half done");
    if (!IsSafe()) {
      return;
    }
    const NodeId leader = cluster_.Leader();
    core_ = cluster_.node(leader).core().configuration().Members();
    cluster_.EndOutsiders(leader);
  }

  // Nothing goes wrong any more, so nothing may be refused, late or in doubt.
  void StayWell() {
    const size_t first = clients_.operations().size();
    const SimNode& leader = cluster_.node(cluster_.Leader());
    const raft::Term term = leader.core().term();
    const uint64_t installed = SnapshotsInstalled();
    clients_.GoOn(kOperationsWhenWell, {core_.begin(), core_.end()}, kAnswerTimeouts * Timeout());
    RunUntil(
        [&] {
          cluster_.findings().Expect(
              leader.core().role() == raft::RaftRole::kLeader && leader.core().term() == term, [&] {
                return absl::StrCat("node ", leader.id().value(), " loses a healthy cluster");
              });
          cluster_.findings().Expect(NothingIsOverdue(), [] { return "a key outlives its time"; });
          cluster_.findings().Expect(NoLeaseIsOverdue(),
                                     [] { return "a lease outlives its time"; });
          return clients_.finished();
        },
        kWellTimeouts * Timeout(), "the clients of a healthy cluster do not come to an end");
    for (size_t place = first; place < clients_.operations().size(); ++place) {
      const ClientOperation& operation = clients_.operations()[place];
      // Where the log keeps next to nothing, a member that is late by a moment gets a snapshot, and
      // does not hear what became of the writes in it.
      const bool in_doubt = operation.unknown && SnapshotsInstalled() > installed;
      const bool answered = in_doubt || (operation.done && !operation.unknown &&
                                         (operation.reply.status == Reply::Status::kOk ||
                                          operation.reply.status == Reply::Status::kOverloaded));
      cluster_.findings().Expect(!IsSafe() || answered, [&] {
        return absl::StrCat("a healthy cluster does not answer operation ", place + 1);
      });
    }
    AskUntilAnswered([this] { return clients_.ListAll(); }, &readable_);
    RunUntil([this] { return readable_ && HaveAgreed(); }, kAgreedTimeouts * Timeout(),
             "the nodes do not come to agree at the end");
  }

  // An audit may be under way that waits for who was away, on a clock that is slow.
  SimTime AuditedWithin() const {
    const SimTime audits = raft::StateAudit::kAnswerTimeMax + 2 * raft::StateAudit::kInterval;
    return audits + audits * options_.drift_ppm_max / 1'000'000 + kWritableTimeouts * Timeout();
  }

  uint64_t SnapshotsInstalled() const {
    return counters_.count(Situation::kSnapshotKeptLog) +
           counters_.count(Situation::kSnapshotReplacedLog);
  }

  // While members change, one that is known to be one: others cannot answer for the cluster.
  NodeId SomeCore() {
    const NodeId leader = cluster_.Leader();
    if (options_.changes_members && leader != raft::kNobody) {
      const std::set<NodeId> members = cluster_.node(leader).core().configuration().Members();
      return *std::next(members.begin(), static_cast<ptrdiff_t>(dice_.Below(members.size())));
    }
    return *std::next(core_.begin(), static_cast<ptrdiff_t>(dice_.Below(core_.size())));
  }

  void AskUntilAnswered(std::function<Request()> draw, bool* answered) {
    Request request = draw();
    request.timeout = kAskTimeouts * Timeout();
    clients_.Ask(std::move(request), SomeCore(),
                 [this, draw, answered](const ClientOperation& operation) {
                   if (!operation.unknown && operation.reply.status == Reply::Status::kOk) {
                     *answered = true;
                   } else {
                     AskUntilAnswered(draw, answered);
                   }
                 });
  }

  // All that work apply the same, and it is all that was ever acknowledged or committed.
  bool HaveAgreed() {
    return core_.contains(cluster_.Leader()) &&
           std::all_of(core_.begin(), core_.end(), [this](NodeId node) {
             const SimNode& member = cluster_.node(node);
             return member.is_up() &&
                    member.state_machine().applied().index == cluster_.ledger().last();
           });
  }

  // Whether no key is there whose time was up a while ago. A round of expiry, from the scan to the
  // commit, takes less than half an election timeout, and takes so many keys along as the options
  // say. An append that another overtook is sent again after an election timeout; streams keep
  // their order.
  bool NothingIsOverdue() {
    const SimNode& leader = cluster_.node(cluster_.Leader());
    const auto& ttl = leader.state_machine().content().ttl;
    if (ttl.empty()) {
      return true;
    }
    const auto rounds = static_cast<int64_t>(2 + ttl.size() / options_.due_keys_max);
    const SimTime repair = options_.network_mode == NetworkMode::kDatagrams ? 2 * Timeout() : 0;
    const auto late = static_cast<uint64_t>((rounds * Timeout() / 2 + repair) / kNanosPerMilli);
    return ttl.begin()->first + late > leader.driver().Now();
  }

  // The same of leases, which are looked for ten times a second, and end one by one.
  bool NoLeaseIsOverdue() {
    constexpr int64_t kLookMillis = 100;
    const SimNode& leader = cluster_.node(cluster_.Leader());
    const TableContent& content = leader.state_machine().content();
    const SimTime repair = options_.network_mode == NetworkMode::kDatagrams ? 2 * Timeout() : 0;
    const auto late =
        static_cast<uint64_t>(2 * kLookMillis + (2 * Timeout() + repair) / kNanosPerMilli);
    return std::all_of(
        content.leases.leases().begin(), content.leases.leases().end(), [&](const auto& row) {
          return kv::DeadlineOf(row.second, content.applied.leases.term_began) + late >
                 leader.driver().Now();
        });
  }

  void CheckAtEnd() {
    cluster_.CheckAtEnd();
    cluster_.findings().Expect(cluster_.ledger().last() >= cluster_.answers().floor(), [&] {
      return absl::StrCat("index ", cluster_.answers().floor().value(),
                          " was acknowledged, but the history ends at ",
                          cluster_.ledger().last().value());
    });
    for (const ClientOperation& operation : clients_.operations()) {
      if (operation.unknown) {
        cluster_.answers().OnUnknownAtEnd(operation.request);
      }
    }
    CheckHistory();
  }

  // Black box: from what clients saw alone, whatever nodes and the other oracles believe.
  void CheckHistory() {
    linearizability::History history =
        ToHistory(clients_.operations(), clients_.keys(), options_.drift_ppm_max);
    const linearizability::CheckReport report = linearizability::CheckLinearizability(history);
    cluster_.findings().Expect(report.verdict == linearizability::Verdict::kOk,
                               [&] { return report.explanation; });
    // A revision is one write's only where transactions have one operation.
    std::erase_if(history, [](const linearizability::Operation& operation) {
      return !Clients::IsWrittenAlone(operation.key);
    });
    for (const std::string& violation : linearizability::CheckRevisions(history)) {
      cluster_.findings().Expect(false, [&] { return violation; });
    }
  }

  RunResult Result() {
    RunResult result{.findings = cluster_.final_findings(),
                     .trace_hash = trace_.hash(),
                     .events = scheduler_.events_run(),
                     .operations = clients_.operations().size(),
                     .counters = counters_};
    for (const ClientOperation& operation : clients_.operations()) {
      result.answered +=
          operation.done && !operation.unknown && operation.reply.status == Reply::Status::kOk ? 1
                                                                                               : 0;
    }
    return result;
  }

  const SimOptions options_;
  Counters counters_;
  Scheduler scheduler_;
  Trace trace_;
  Cluster cluster_;
  Clients clients_;
  Nemesis nemesis_;
  Dice dice_;
  std::set<NodeId> core_;
  bool writable_ = false;
  bool readable_ = false;
  bool gave_up_ = false;
};

}  // namespace

RunResult RunSimulation(const SimOptions& options, bool print_trace) {
  return Run(options, print_trace).Do();
}

}  // namespace raftkv::simulation
