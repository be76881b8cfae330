#include "kv/member_list.h"

#include <algorithm>
#include <set>
#include <utility>

#include "glog/logging.h"

namespace raftkv::kv {
namespace {

using log::v1::ClusterConfiguration;
using log::v1::ConfiguredMember;
using Ids = google::protobuf::RepeatedField<uint64_t>;

void Erase(Ids* ids, uint64_t id) {
  ids->erase(std::remove(ids->begin(), ids->end(), id), ids->end());
}

bool Contains(const Ids& ids, uint64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

std::set<raft::NodeId> ToSet(const Ids& ids) {
  std::set<raft::NodeId> set;
  for (const uint64_t id : ids) {
    set.insert(raft::NodeId(id));
  }
  return set;
}

// Only those of `members` that some list names.
void DropUnnamed(ClusterConfiguration* record) {
  const std::set<raft::NodeId> named = IdsOf(*record).Members();
  auto* members = record->mutable_members();
  members->erase(std::remove_if(members->begin(), members->end(),
                                [&named](const ConfiguredMember& member) {
                                  return !named.contains(raft::NodeId(member.id()));
                                }),
                 members->end());
}

// Before anything is dropped, so that its id is remembered.
void RememberLastId(ClusterConfiguration* record) {
  record->set_last_member_id(LastMemberId(*record));
}

}  // namespace

const ConfiguredMember* FindMember(const ClusterConfiguration& record, uint64_t id) {
  const auto found =
      std::find_if(record.members().begin(), record.members().end(),
                   [id](const ConfiguredMember& member) { return member.id() == id; });
  return found == record.members().end() ? nullptr : &*found;
}

const ConfiguredMember* FindMemberNamed(const ClusterConfiguration& record,
                                        absl::string_view name) {
  const auto found =
      std::find_if(record.members().begin(), record.members().end(),
                   [name](const ConfiguredMember& member) { return member.name() == name; });
  return found == record.members().end() ? nullptr : &*found;
}

uint64_t LastMemberId(const ClusterConfiguration& record) {
  uint64_t last = record.last_member_id();
  for (const ConfiguredMember& member : record.members()) {
    last = std::max(last, member.id());
  }
  return last;
}

bool WasRemoved(const ClusterConfiguration& record, uint64_t id) {
  return id != 0 && id <= LastMemberId(record) && FindMember(record, id) == nullptr;
}

raft::Configuration IdsOf(const ClusterConfiguration& record) {
  return {.voters = ToSet(record.voters()),
          .outgoing_voters = ToSet(record.outgoing_voters()),
          .learners = ToSet(record.learners())};
}

ClusterConfiguration WithLearner(ClusterConfiguration record, ConfiguredMember member) {
  const uint64_t id = LastMemberId(record) + 1;
  member.set_id(id);
  *record.add_members() = std::move(member);
  record.add_learners(id);
  RememberLastId(&record);
  return record;
}

ClusterConfiguration Promoting(ClusterConfiguration record, uint64_t id) {
  CHECK(record.outgoing_voters().empty() && Contains(record.learners(), id)) << "member " << id;
  *record.mutable_outgoing_voters() = record.voters();
  Erase(record.mutable_learners(), id);
  record.add_voters(id);
  std::sort(record.mutable_voters()->begin(), record.mutable_voters()->end());
  for (ConfiguredMember& member : *record.mutable_members()) {
    if (member.id() == id) {
      member.clear_stay_learner();
    }
  }
  RememberLastId(&record);
  return record;
}

ClusterConfiguration Removing(ClusterConfiguration record, uint64_t id) {
  CHECK(record.outgoing_voters().empty()) << "a joint record is left first";
  RememberLastId(&record);
  if (Contains(record.voters(), id)) {
    *record.mutable_outgoing_voters() = record.voters();
    Erase(record.mutable_voters(), id);
    return record;
  }
  Erase(record.mutable_learners(), id);
  DropUnnamed(&record);
  return record;
}

ClusterConfiguration WithPeerAddress(ClusterConfiguration record, uint64_t id,
                                     absl::string_view peer_address) {
  for (ConfiguredMember& member : *record.mutable_members()) {
    if (member.id() == id) {
      member.set_peer_address(std::string(peer_address));
    }
  }
  RememberLastId(&record);
  return record;
}

ClusterConfiguration Left(ClusterConfiguration record) {
  RememberLastId(&record);
  record.clear_outgoing_voters();
  DropUnnamed(&record);
  return record;
}

}  // namespace raftkv::kv
