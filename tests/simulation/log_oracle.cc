#include "tests/simulation/log_oracle.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "raft/core/describe.h"
#include "raft/core/quorum.h"
#include "tests/simulation/fingerprints.h"

namespace raftkv::simulation {

using raft::Describe;
using raft::EntryId;
using raft::LogIndex;
using raft::NodeId;
using raft::Term;

void LogOracle::OnStarted(NodeId node) {
  NodeLog& log = logs_[node];
  const DiskContent& content = disks_.at(node)->content();
  log.ids.clear();
  for (const raft::Entry& entry : content.log.entries) {
    log.ids.push_back(entry.id);
  }
  log.committed = content.table.applied.id.index;
  CheckForgotten(node);
}

void LogOracle::CheckForgotten(NodeId node) {
  const DiskContent& content = disks_.at(node)->content();
  const LogIndex applied = content.table.applied.id.index;
  findings_.Expect(content.log.trimmed <= applied, [&] {
    return absl::StrCat("the disk of node ", node.value(), " holds no entries up to ",
                        content.log.trimmed.value(), " and the state as of ", applied.value());
  });
}

void LogOracle::OnTrim(NodeId node, LogIndex through, LogIndex applied) {
  findings_.Expect(through <= applied, [&] {
    return absl::StrCat("node ", node.value(), " trims its log up to ", through.value(),
                        ", but has applied up to ", applied.value());
  });
  CheckForgotten(node);
}

void LogOracle::OnSnapshotAdopted(NodeId node) {
  NodeLog& log = logs_[node];
  const DiskLog& now = disks_.at(node)->content().log;
  const std::vector<EntryId> before = std::exchange(log.ids, {});
  bool conflicts = false;
  for (const raft::Entry& entry : now.entries) {
    const uint64_t place = log.ids.size();
    conflicts = conflicts || (place < before.size() && before[place] != entry.id);
    findings_.Expect(place >= log.committed.value() || before[place] == entry.id, [&] {
      return absl::StrCat("a snapshot puts ", Describe(entry.id), " where node ", node.value(),
                          " has committed another");
    });
    log.ids.push_back(entry.id);
  }
  findings_.Expect(log.ids.size() >= log.committed.value(), [&] {
    return absl::StrCat("a snapshot takes node ", node.value(), " back to ", log.ids.size());
  });
  counters_.Note(Situation::kConflictingLogReplaced, conflicts ? 1 : 0);
  CheckForgotten(node);
}

void LogOracle::OnWrite(NodeId node, const raft::LogWrite& write) {
  NodeLog& log = logs_[node];
  for (const raft::Entry& entry : write.entries) {
    const uint64_t place = entry.id.index.value() - 1;
    findings_.Expect(place <= log.ids.size(), [&] {
      return absl::StrCat("node ", node.value(), " writes ", Describe(entry), " after a gap");
    });
    if (place < log.ids.size()) {
      Truncate(node, &log, place);
    }
    const EntryId previous = log.ids.empty() ? EntryId() : log.ids.back();
    const auto [known, is_new] =
        entries_.emplace(Key(entry.id), KnownEntry{.content = FingerprintOf(entry),
                                                   .previous = previous,
                                                   .proposed_at = scheduler_.now()});
    findings_.Expect(is_new || (known->second.content == FingerprintOf(entry) &&
                                known->second.previous == previous),
                     [&] {
                       return absl::StrCat("node ", node.value(), " has another ", Describe(entry),
                                           " than was known, or one after ", Describe(previous));
                     });
    if (log.overwritten.contains(Key(entry.id))) {
      counters_.Note(Situation::kEntryOverwrittenAndRestored);
    }
    log.ids.push_back(entry.id);
  }
}

void LogOracle::Truncate(NodeId node, NodeLog* log, uint64_t kept) {
  findings_.Expect(kept >= log->committed.value(), [&] {
    return absl::StrCat("node ", node.value(), " cuts its log after index ", kept,
                        ", but has committed up to ", log->committed.value());
  });
  if (kept < disks_.at(node)->content().log.entries.size()) {
    counters_.Note(Situation::kDurableEntryTruncated);
  }
  for (uint64_t place = kept; place < log->ids.size(); ++place) {
    log->overwritten.insert(Key(log->ids[place]));
  }
  log->ids.resize(kept);
}

bool LogOracle::IsDurableOnQuorum(EntryId id, const raft::Configuration& configuration) const {
  const uint64_t place = id.index.value() - 1;
  return raft::IsQuorum(configuration, [&](NodeId voter) {
    const std::vector<raft::Entry>& log = disks_.at(voter)->content().log.entries;
    return place < log.size() && log[place].id == id;
  });
}

void LogOracle::OnCommit(NodeId node, EntryId id, const Quorums& quorums) {
  NodeLog& log = logs_[node];
  findings_.Expect(id.index > log.committed, [&] {
    return absl::StrCat("node ", node.value(), " lowers its commit index to ", id.index.value());
  });
  findings_.Expect(id.index.value() <= log.ids.size() && log.ids[id.index.value() - 1] == id, [&] {
    return absl::StrCat("node ", node.value(), " commits ", Describe(id), ", which it never wrote");
  });
  const auto [known, is_new] = committed_.emplace(id.index, id.term);
  findings_.Expect(known->second == id.term, [&] {
    return absl::StrCat("node ", node.value(), " commits ", Describe(id), " where term ",
                        known->second.value(), " was committed");
  });
  if (!quorums.empty()) {
    const bool durable = std::any_of(quorums.begin(), quorums.end(), [&](const auto& counted) {
      return IsDurableOnQuorum(id, *counted);
    });
    findings_.Expect(durable, [&] {
      return absl::StrCat("node ", node.value(), " commits ", Describe(id),
                          ", which is not on a majority of the disks");
    });
    const LogIndex first = log.committed.Next();
    if (first < id.index && log.ids[first.value() - 1].term < id.term) {
      counters_.Note(Situation::kOldTermCommittedByNewOne);
    }
  }
  log.committed = id.index;
  if (id.index > last_committed_.index) {
    last_committed_ = id;
  }
}

void LogOracle::OnLeader(NodeId node, Term term) {
  const EntryId id = last_committed_;
  const std::vector<EntryId>& ids = logs_[node].ids;
  // Only what was committed in earlier terms must be there, and later terms may have begun.
  if (id.index.value() == 0 || id.term >= term) {
    return;
  }
  findings_.Expect(ids.size() >= id.index.value() && ids[id.index.value() - 1] == id, [&] {
    return absl::StrCat("node ", node.value(), " leads term ", term.value(), " without ",
                        Describe(id), ", which is committed");
  });
}

}  // namespace raftkv::simulation
