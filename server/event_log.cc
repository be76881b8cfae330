#include "server/event_log.h"

#include <glog/logging.h>

#include <string>

#include "absl/strings/str_join.h"
#include "server/log_text.h"

namespace raftkv::server {

void EventLog::OnEvent(const raft::Event& event) {
  switch (event.kind) {
    case raft::Event::Kind::kRoleChanged:
    case raft::Event::Kind::kLogTruncated:
    case raft::Event::Kind::kConfigurationChanged:
    case raft::Event::Kind::kSnapshotInstalled:
    case raft::Event::Kind::kHandoverBegun:
    case raft::Event::Kind::kHandoverGivenUp:
      LOG(INFO) << EventText(event);
      return;
    case raft::Event::Kind::kLeaderChanged:
      if (event.leader == raft::kNobody) {
        LOG(INFO) << EventText(event);
      } else {
        LOG(INFO) << "following member " << directory_.Describe(event.leader) << ", leader of term "
                  << event.term;
      }
      return;
  }
}

void EventLog::OnLogTrimmed(raft::LogIndex through, raft::LogIndex held_by_all) {
  // Once for each member that is away, not for each trim.
  if (through <= held_by_all || told_held_by_all_ == held_by_all) {
    return;
  }
  told_held_by_all_ = held_by_all;
  LOG(WARNING) << "the log takes more than --log_bytes_max: it is trimmed up to entry " << through
               << ", and not every member is known to hold more than entry " << held_by_all
               << ": one that is away will need a snapshot";
}

void EventLog::OnSnapshotOutrun(raft::NodeId peer, raft::LogIndex through) {
  LOG(WARNING) << "the log took twice --log_bytes_max while member " << directory_.Describe(peer)
               << " was brought a snapshot: it is trimmed up to entry " << through
               << ", the snapshot is given up, and a newer one follows";
}

void EventLog::OnStateDiffers(const raft::StateDifference& difference) {
  on_state_differs_(difference);
}

void EventLog::OnMemberDiffers(raft::NodeId member, const raft::StateDifference& difference) {
  LOG(ERROR) << "the state of member " << directory_.Describe(member) << " after entry "
             << difference.index << " is not what most voters have: it is told to stop";
}

void EventLog::OnStatesDisagree(raft::LogIndex index) {
  LOG(ERROR) << "the states of the members after entry " << index
             << " differ, and no majority of the voters has the same: some of them answer reads "
                "wrongly, and nobody can tell which";
}

void EventLog::OnLowOnDisk(const std::vector<raft::NodeId>& members) {
  if (members.empty()) {
    LOG(INFO) << "nobody who is heard says that its disk is nearly full: puts are taken again";
    return;
  }
  const auto describe = [this](std::string* out, raft::NodeId id) {
    out->append(directory_.Describe(id));
  };
  LOG(WARNING) << "puts are refused, because these members' disks are nearly full: "
               << absl::StrJoin(members, ", ", describe);
}

}  // namespace raftkv::server
