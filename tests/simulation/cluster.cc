#include "tests/simulation/cluster.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kv/errors.h"
#include "kv/member_list.h"
#include "raft/core/describe.h"
#include "raft/runtime/command_batch.h"

namespace raftkv::simulation {

using raft::Envelope;
using raft::Event;
using raft::EventCause;
using raft::LogIndex;
using raft::NodeId;
using raft::RaftCore;
using raft::RaftRole;

namespace {

// What costs a look at the whole log in memory is checked once in so many turns.
constexpr uint64_t kTurnsPerMemoryCheck = 64;

}  // namespace

Cluster::Cluster(const SimOptions* options, Trace* trace, Scheduler* scheduler, Counters* counters)
    : options_(*options),
      scheduler_(*scheduler),
      counters_(*counters),
      spec_(options->Members(),
            [this](const std::string& finding) {
              spec_findings_.push_back(finding);
              findings_.Expect(false, [&] { return finding; });
            }),
      logs_(scheduler, &disks_, &findings_, counters),
      ledger_(options, scheduler, &logs_, &findings_, counters),
      answers_(&ledger_, &findings_, counters),
      network_(options, scheduler, trace, counters),
      watchers_(options, &ledger_, &findings_, counters),
      past_readers_(options, scheduler, &ledger_, &answers_, &findings_, counters) {
  const SimNode::Surroundings surroundings{.options = options,
                                           .scheduler = scheduler,
                                           .network = &network_,
                                           .trace = trace,
                                           .counters = counters,
                                           .observer = this};
  for (uint64_t id = 1; id <= options->nodes; ++id) {
    const NodeId node(id);
    ids_.push_back(node);
    nodes_[node] = std::make_unique<SimNode>(node, surroundings);
    disks_[node] = &nodes_[node]->disk();
    lives_[node] = 0;
  }
  for (const NodeId node : ids_) {
    Start(node);
  }
}

Cluster::~Cluster() = default;

void Cluster::Start(NodeId id) {
  // Who knows that it is removed stays away, as a server whose directory says so.
  const auto& configuration = node(id).disk().content().table.configuration;
  const bool removed = configuration.has_value() && kv::WasRemoved(*configuration, id.value());
  if (!node(id).is_up() && !removed) {
    node(id).Start();
  }
}

void Cluster::End(NodeId id, Ending ending) {
  SimNode& ended = node(id);
  if (!ended.is_up()) {
    return;
  }
  counters_.Note(ending == Ending::kPowerLost ? Situation::kPowerLost : Situation::kNodeKilled);
  const RaftCore& core = ended.core();
  if (core.role() == RaftRole::kLeader && core.last_entry().index > core.commit_index()) {
    counters_.Note(Situation::kLeaderCrashedWithUncommittedTail);
  }
  ended.End(ending);
  OnGone(ended, ending == Ending::kPowerLost);
}

void Cluster::OnGone(const SimNode& node, bool silently) {
  ++lives_[node.id()];
  watchers_.OnGone(node.id());
  past_readers_.OnGone(node.id());
  const bool all_down = std::none_of(nodes_.begin(), nodes_.end(),
                                     [](const auto& item) { return item.second->is_up(); });
  if (all_down) {
    counters_.Note(Situation::kAllNodesDown);
    ledger_.OnAllDown();
  }
  if (on_gone_) {
    on_gone_(node.id(), silently);
  }
}

void Cluster::Pause(NodeId id) {
  if (node(id).is_running()) {
    counters_.Note(Situation::kNodePaused);
    node(id).Pause();
  }
}

void Cluster::Continue(NodeId id) {
  if (node(id).is_paused()) {
    node(id).Continue();
  }
}

void Cluster::TransferLeadership(NodeId target) {
  const NodeId leader = Leader();
  if (leader != raft::kNobody && node(leader).is_running()) {
    node(leader).TransferLeadership(target, [this, leader](const absl::Status& status) {
      counters_.Note(Situation::kLeadershipTransferred, status.ok() && Leader() != leader ? 1 : 0);
    });
  }
}

void Cluster::LoseLeaderOf(NodeId follower) {
  if (node(follower).is_running()) {
    node(follower).FindUnreachable(node(follower).core().leader());
  }
}

void Cluster::ChangeMembers(kv::Membership::Change change) {
  const NodeId leader = Leader();
  if (leader == raft::kNobody || !node(leader).is_running()) {
    return;
  }
  Situation done = Situation::kMemberUpdated;
  if (std::holds_alternative<kv::Membership::Adding>(change)) {
    done = Situation::kMemberAdded;
  } else if (std::holds_alternative<kv::Membership::Removing>(change)) {
    done = Situation::kMemberRemoved;
  } else if (std::holds_alternative<kv::Membership::Promoting>(change)) {
    done = Situation::kMemberPromoted;
  }
  node(leader).ChangeMembers(std::move(change), [this, done](const absl::StatusOr<uint64_t>& id) {
    if (id.ok()) {
      counters_.Note(done);
      return;
    }
    const auto info = kv::FindErrorInfo(id.status());
    const std::string reason = info.has_value() ? info->reason() : "";
    counters_.Note(Situation::kChangeRefused, reason == "WOULD_LOSE_QUORUM" ? 1 : 0);
    counters_.Note(Situation::kChangeInDoubt, reason == "OUTCOME_UNKNOWN" ? 1 : 0);
  });
}

NodeId Cluster::NextNewcomer() const {
  const NodeId leader = Leader();
  if (leader == raft::kNobody) {
    return raft::kNobody;
  }
  const NodeId next(nodes_.at(leader)->last_member_id() + 1);
  return nodes_.contains(next) ? next : raft::kNobody;
}

void Cluster::EndOutsiders(NodeId leader) {
  const raft::Configuration& members = node(leader).core().configuration();
  for (const NodeId id : ids_) {
    if (!members.IsMember(id)) {
      End(id, Ending::kStopped);
    }
  }
}

void Cluster::Bend(NodeId id) {
  SimNode& bent = node(id);
  // The disk has the next state already where one is being installed, and this bends the last one.
  if (!bent.is_up() || bent.core().is_installing() || AnyBent()) {
    return;
  }
  counters_.Note(Situation::kStateBent);
  ledger_.Excuse(id);
  bent.Bend();
}

bool Cluster::AnyBent() const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [](const auto& item) { return item.second->is_bent(); });
}

void Cluster::StraightenUnfindable() {
  const NodeId leader = Leader();
  if (leader == raft::kNobody || !node(leader).is_bent()) {
    return;
  }
  const bool unfindable = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& item) {
    const raft::FollowerProgress* progress = node(leader).core().progress(item.first);
    return progress != nullptr && progress->state() == raft::FollowerProgress::State::kSnapshot;
  });
  if (unfindable) {
    straightened_.insert(leader);
    node(leader).Straighten();
  }
}

NodeId Cluster::Leader() const {
  NodeId leader = raft::kNobody;
  raft::Term term;
  for (const auto& [id, node] : nodes_) {
    if (node->is_up() && node->core().role() == RaftRole::kLeader && node->core().term() > term) {
      leader = id;
      term = node->core().term();
    }
  }
  return leader;
}

void Cluster::OnStarted(const SimNode& node) {
  newest_configuration_[node.id()] = LogIndex(0);
  logs_.OnStarted(node.id());
  ledger_.OnStarted(node.id(), node.disk().content().table);
  const DiskContent& disk = node.disk().content();
  const LogIndex applied = disk.table.applied.id.index;
  spec_.OnStarted(node.id(), {.hard_state = &disk.hard_state, .log = &disk.log.entries}, applied);
  told_commit_[node.id()] = applied;
  changes_[node.id()].clear();
  NoteChanges(node.id(), disk.log.entries);
  seen_[node.id()] = {.commit = applied, .applied = applied};
}

void Cluster::OnSent(const SimNode& node, const Envelope& envelope) {
  TellCommit(node);
  spec_.OnSent(envelope);
  const DiskContent& disk = node.disk().content();
  const uint64_t repeated = findings_.repeated_votes();
  findings_.OnSent(envelope, {.hard_state = disk.hard_state, .last_entry = disk.log.last()});
  counters_.Note(Situation::kVoteRepeated, findings_.repeated_votes() - repeated);
  const auto* vote = std::get_if<raft::VoteReply>(&envelope.message);
  if (vote != nullptr && vote->pre_vote && !vote->granted &&
      node.core().leader() != raft::kNobody) {
    counters_.Note(Situation::kPreVoteRefusedByLiveLeader);
  }
  if (std::holds_alternative<raft::AppendRejected>(envelope.message)) {
    counters_.Note(Situation::kAppendRejected);
  }
}

void Cluster::TellCommit(const SimNode& node) {
  // What a configuration has committed that begins to count is told once that is written.
  const std::map<LogIndex, bool>& changes = changes_[node.id()];
  const LogIndex newest = changes.empty() ? LogIndex(0) : changes.rbegin()->first;
  if (node.core().configuration_index() <= newest) {
    TellCommitIndex(node.id(), node.core().commit_index());
  }
}

void Cluster::NoteChanges(NodeId id, const std::vector<raft::Entry>& entries) {
  if (entries.empty()) {
    return;
  }
  std::map<LogIndex, bool>& changes = changes_[id];
  changes.erase(changes.lower_bound(entries.front().id.index), changes.end());
  for (const raft::Entry& entry : entries) {
    if (entry.configuration != nullptr) {
      changes[entry.id.index] = entry.configuration->IsJoint();
    }
    if (raft::EntryId& first = first_of_newest_term_[id]; first.term != entry.id.term) {
      first = entry.id;
    }
  }
}

void Cluster::TellCommitIndex(NodeId id, LogIndex index) {
  told_commit_[id] = index;
  spec_.OnCommitIndex(id, index);
}

// A leader appends a configuration on the ground of what is committed, so the spec hears of that
// before. Whatever else is committed by then did not need the quorums of a joint configuration that
// begins; where one is left, it may need those that begin.
void Cluster::TellCommitsBefore(const SimNode& node, const raft::LogWrite& write) {
  const raft::RaftCore& core = node.core();
  for (const raft::Entry& entry : write.entries) {
    if (entry.configuration == nullptr || core.role() != RaftRole::kLeader) {
      continue;
    }
    const std::map<LogIndex, bool>& changes = changes_[node.id()];
    const auto next = changes.lower_bound(entry.id.index);
    const bool leaves = next != changes.begin() && std::prev(next)->second;
    // A leader commits no entry of another term by itself (thesis §3.6.2).
    const LogIndex committed =
        leaves ? std::max(std::prev(next)->first, first_of_newest_term_[node.id()].index)
               : core.commit_index();
    if (committed > told_commit_[node.id()]) {
      TellCommitIndex(node.id(), committed);
    }
  }
}

void Cluster::OnWrite(const SimNode& node, const raft::LogWrite& write) {
  TellCommitsBefore(node, write);
  NoteChanges(node.id(), write.entries);
  spec_.OnWrite(node.id(), write);
  logs_.OnWrite(node.id(), write);
  if (node.core().role() == RaftRole::kLeader) {
    NoteProposals(node, write);
  }
}

void Cluster::NoteProposals(const SimNode& node, const raft::LogWrite& write) {
  for (const raft::Entry& entry : write.entries) {
    if (entry.id.term != node.core().term()) {
      continue;
    }
    raft::CommandBatchReader reader(raft::CommandsOf(entry));
    while (reader.Next()) {
      log::v1::Command command;
      command.ParseFromArray(reader.command().data(), static_cast<int>(reader.command().size()));
      if (command.has_expire() && entry.id.term < last_led_term_) {
        counters_.Note(Situation::kExpireOfDeposedLeader);
      }
      if (const OperationNumber operation = TagOf(command); operation != 0) {
        const auto [known, is_new] = proposed_.emplace(operation, entry.id);
        counters_.Note(Situation::kProposedAgain, is_new || known->second == entry.id ? 0 : 1);
      }
    }
  }
}

void Cluster::OnApplied(const SimNode& node, const std::vector<AppliedStep>& steps) {
  TellCommit(node);
  for (const AppliedStep& step : steps) {
    spec_.OnApplied(node.id(), step.entry.id);
  }
  ledger_.OnApplied(node.id(), steps);
}

void Cluster::OnTrim(const SimNode& node, LogIndex through) {
  counters_.Note(Situation::kLogTrimmed);
  logs_.OnTrim(node.id(), through, node.state_machine().applied().index);
}

void Cluster::OnSnapshotSent(const SimNode& node, NodeId peer, raft::Term term,
                             const raft::SnapshotPoint& point) {
  TellCommit(node);
  spec_.OnSnapshotSent(node.id(), peer, term, point.last);
}

void Cluster::OnInstall(const SimNode& node) {
  if (on_install_) {
    on_install_(node.id());
  }
}

void Cluster::OnSnapshotAdopted(const SimNode& node, const raft::SnapshotPoint& point) {
  spec_.OnSnapshotInstalled(node.id(), point.last);
  told_commit_[node.id()] = point.last.index;
  logs_.OnSnapshotAdopted(node.id());
  ledger_.OnSnapshotAdopted(node.id(), node.state_machine().content());
}

void Cluster::OnReadAsked(const SimNode& node, raft::ReadId id, NodeId asker) {
  const RaftCore& core = node.core();
  spec_.OnReadAsked(node.id(), id,
                    {.asker = asker, .term = core.term(), .commit_index = core.commit_index()});
}

void Cluster::OnReadOutcome(const SimNode& node, const raft::ReadOutcome& outcome) {
  TellCommit(node);
  spec_.OnReadAnswered(node.id(), outcome);
}

void Cluster::OnEvent(const SimNode& node, const Event& event) {
  switch (event.kind) {
    case Event::Kind::kLogTruncated:
      counters_.Note(Situation::kFollowerTruncated);
      break;
    case Event::Kind::kRoleChanged:
      if (event.cause.reason == EventCause::Reason::kQuorumLost) {
        counters_.Note(Situation::kLeaderLostQuorum);
      } else if (event.cause.reason == EventCause::Reason::kDiskStalled) {
        counters_.Note(Situation::kLeaderResignedOverDisk);
      } else if (event.cause.reason == EventCause::Reason::kElectionNotWon) {
        counters_.Note(Situation::kCandidateGaveUp);
      } else if (event.cause.reason == EventCause::Reason::kLeaderUnreachable) {
        counters_.Note(Situation::kCandidateForLeaderUnreachable);
      } else if (event.cause.reason == EventCause::Reason::kRemoved) {
        counters_.Note(Situation::kLeaderRemoved);
      } else if (event.cause.reason == EventCause::Reason::kAskedToStand) {
        counters_.Note(Situation::kAskedToStand);
      }
      counters_.Note(
          Situation::kReluctantElected,
          event.role == RaftRole::kLeader && options_.PriorityOf(node.id()) == 0 ? 1 : 0);
      if (event.role == RaftRole::kLeader && on_leader_) {
        on_leader_(node.id());
      }
      break;
    case Event::Kind::kSnapshotInstalled:
      counters_.Note(event.cause.reason == EventCause::Reason::kLogHeldIt
                         ? Situation::kSnapshotKeptLog
                         : Situation::kSnapshotReplacedLog);
      break;
    case Event::Kind::kHandoverGivenUp:
      counters_.Note(Situation::kHandoverGivenUp);
      break;
    case Event::Kind::kConfigurationChanged:
      counters_.Note(Situation::kConfigurationTakenBack,
                     event.index < newest_configuration_[node.id()] ? 1 : 0);
      newest_configuration_[node.id()] = event.index;
      break;
    case Event::Kind::kHandoverBegun:
      counters_.Note(Situation::kHandedOverByPriority,
                     event.cause.reason == EventCause::Reason::kHigherPriority ? 1 : 0);
      break;
    case Event::Kind::kLeaderChanged:
      break;
  }
}

void Cluster::OnStateDiffers(const SimNode& node) {
  counters_.Note(seen_[node.id()].leads ? Situation::kBentLeaderStopped
                                        : Situation::kBentFollowerStopped);
  // By what it answered before its state was put right.
  const bool was_bent = straightened_.contains(node.id());
  findings_.Expect(node.is_bent() || was_bent, [&] {
    return absl::StrCat("node ", node.id().value(), " stops although its state is right");
  });
}

void Cluster::OnAuditFinding(const SimNode& node, const std::string& text) {
  findings_.Expect(counters_.count(Situation::kStateBent) > 0, [&] {
    return absl::StrCat("node ", node.id().value(), " says that ", text, ", and nothing was bent");
  });
}

void Cluster::OnTurn(const SimNode& node) {
  TellCommit(node);
  Seen& seen = seen_[node.id()];
  CheckRole(node, &seen);
  CheckMarks(node, &seen);
  CheckBounds(node);
  watchers_.OnTurn(node.id(), &nodes_.at(node.id())->watches());
  past_readers_.OnTurn(node.id(), &nodes_.at(node.id())->store(), &node.clock());
  NoteConfiguration(node, &seen);
  if (node.is_removed() && on_removed_) {
    on_removed_(node.id());
  }
  if (++seen.turns % kTurnsPerMemoryCheck == 0) {
    CheckMemory(node);
  }
}

void Cluster::NoteConfiguration(const SimNode& node, Seen* seen) {
  const raft::Configuration& now = node.core().configuration();
  if (seen->configuration == nullptr || *seen->configuration != now) {
    seen->configuration = std::make_shared<const raft::Configuration>(now);
  }
}

void Cluster::CheckRole(const SimNode& node, Seen* seen) {
  const RaftCore& core = node.core();
  const bool leads = core.role() == RaftRole::kLeader;
  if (leads && (!seen->leads || seen->leads_term != core.term())) {
    counters_.Note(Situation::kLeaderElected);
    counters_.Note(Situation::kElectedInJoint, core.configuration().IsJoint() ? 1 : 0);
    findings_.OnLeader(node.id(), core.term());
    logs_.OnLeader(node.id(), core.term());
    last_led_term_ = std::max(last_led_term_, core.term());
    const bool another = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& item) {
      return item.first != node.id() && item.second->is_up() &&
             item.second->core().role() == RaftRole::kLeader;
    });
    counters_.Note(Situation::kTwoLeadersAtOnce, another ? 1 : 0);
  }
  seen->leads = leads;
  seen->leads_term = core.term();
}

void Cluster::CheckMarks(const SimNode& node, Seen* seen) {
  const RaftCore& core = node.core();
  findings_.Expect(core.applied_index() >= seen->applied, [&] {
    return absl::StrCat("node ", node.id().value(), " unapplies index ", seen->applied.value());
  });
  seen->applied = core.applied_index();
  if (core.commit_index() == seen->commit) {
    return;
  }
  seen->commit = core.commit_index();
  const raft::CoreView view = core.View();
  // What left memory was applied, and the ledger compared it then.
  if (view.commit_term.has_value()) {
    // It may have counted by what it went by before this turn, or by what it does now.
    LogOracle::Quorums quorums;
    if (view.role == RaftRole::kLeader) {
      quorums.push_back(std::make_shared<const raft::Configuration>(core.configuration()));
      if (seen->configuration != nullptr) {
        quorums.push_back(seen->configuration);
      }
    }
    logs_.OnCommit(node.id(), {.term = *view.commit_term, .index = view.commit}, quorums);
  }
}

void Cluster::CheckBounds(const SimNode& node) {
  const RaftCore& core = node.core();
  const raft::DriverOptions& driver = options_.driver;
  const auto expect = [&](bool holds, absl::string_view what, uint64_t value) {
    findings_.Expect(
        holds, [&] { return absl::StrCat("node ", node.id().value(), " has ", value, " ", what); });
  };
  const uint64_t pending = node.driver().pending_requests();
  expect(pending <= driver.proposals_max + driver.reads_max, "requests of clients", pending);
  const uint64_t uncommitted = core.uncommitted_entries();
  // A change of members comes on top.
  const uint64_t change = core.is_configuration_committed() ? 0 : 1;
  expect(uncommitted <= change + std::max(driver.uncommitted_entries_max,
                                          driver.uncommitted_large_entries_max),
         "uncommitted entries", uncommitted);
  const uint64_t forwarded = node.driver().forwarded_proposals();
  expect(forwarded <= driver.forwarded_max, "forwarded proposals", forwarded);
  for (const NodeId peer : ids_) {
    const raft::FollowerProgress* progress = core.progress(peer);
    if (progress != nullptr) {
      const uint64_t appends = progress->window().size();
      expect(appends <= options_.inflight_appends_max, "appends under way", appends);
    }
  }
}

void Cluster::CheckMemory(const SimNode& node) {
  const raft::CoreView view = node.core().View();
  const std::vector<raft::Entry>& log = node.disk().content().log.entries;
  // What must be kept for other reasons does not count.
  const LogIndex end = std::min({view.applied, view.durable, LogIndex(log.size())});
  uint64_t bytes = 0;
  for (LogIndex index = view.memory_previous.index.Next(); index <= end; index = index.Next()) {
    bytes += log[index.value() - 1].size_bytes();
  }
  findings_.Expect(bytes <= options_.log_memory_bytes_max, [&] {
    return absl::StrCat("node ", node.id().value(), " keeps ", bytes,
                        " bytes of applied entries in memory");
  });
}

void Cluster::OnAborted(const SimNode& node) {
  OnGone(node, /*silently=*/false);
  if (on_aborted_) {
    on_aborted_(node.id());
  }
}

void Cluster::CheckAtEnd() {
  for (const auto& [id, node] : nodes_) {
    if (!node->is_up()) {
      continue;
    }
    // Counted anew from the rows: what was compared so far was kept along the way.
    ledger_.OnStarted(id, node->state_machine().content());
    const SimStateMachine& machine = node->state_machine();
    ledger_.CheckStateHashes(id, machine.applied().index,
                             [&](LogIndex index) { return machine.StateHash(index); });
  }
}

}  // namespace raftkv::simulation
