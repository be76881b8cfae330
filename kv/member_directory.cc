#include "kv/member_directory.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "kv/member_list.h"

namespace raftkv::kv {

void MemberDirectory::SetSelfAddresses(std::string client_address, std::string peer_address) {
  self_.client_address = std::move(client_address);
  self_.peer_address = std::move(peer_address);
}

bool MemberDirectory::MayComeTo(uint32_t version) const {
  const std::vector<MemberEntry> members = Members();
  return std::none_of(members.begin(), members.end(), [version](const MemberEntry& member) {
    return member.command_version != 0 && member.command_version < version;
  });
}

const log::v1::MemberRecord* MemberDirectory::PublishedBy(uint64_t id) const {
  const auto& records = state_machine_.member_records();
  const auto record = records.find(id);
  return record == records.end() ? nullptr : &record->second;
}

void MemberDirectory::FollowLog(const std::shared_ptr<const std::string>& payload) {
  if (payload == payload_) {
    return;
  }
  payload_ = payload;
  newest_.reset();
  if (payload != nullptr) {
    CHECK(newest_.emplace().ParseFromString(*payload)) << "the log holds a broken configuration";
  }
}

bool MemberDirectory::IsRemoved(uint64_t id) const {
  return founded() && WasRemoved(*configuration_, id);
}

const log::v1::ConfiguredMember* MemberDirectory::FindConfigured(uint64_t id) const {
  if (!founded()) {
    return nullptr;
  }
  const log::v1::ConfiguredMember* const member = FindMember(newest(), id);
  return member != nullptr ? member : FindMember(*configuration_, id);
}

MemberEntry MemberDirectory::EntryOf(const log::v1::ConfiguredMember& member,
                                     const log::v1::ClusterConfiguration& in) const {
  const auto& learners = in.learners();
  MemberEntry entry{
      .id = member.id(),
      .name = member.name(),
      .data_id = member.data_id(),
      .learner = std::find(learners.begin(), learners.end(), member.id()) != learners.end(),
      .peer_address = member.peer_address(),
      .client_address = "",
      .version = "",
      .command_version = 0};
  if (const log::v1::MemberRecord* record = PublishedBy(member.id()); record != nullptr) {
    entry.peer_address = record->peer_address();
    entry.client_address = record->client_address();
    entry.version = record->version();
    entry.command_version = record->command_version();
    if (record->has_priority()) {
      entry.priority = record->priority();
    }
  }
  return entry;
}

std::vector<MemberEntry> MemberDirectory::Members() const {
  std::vector<MemberEntry> members;
  if (founded()) {
    for (const log::v1::ConfiguredMember& member : configuration_->members()) {
      members.push_back(EntryOf(member, *configuration_));
    }
  }
  return members;
}

std::vector<MemberEntry> MemberDirectory::Others() const {
  std::vector<MemberEntry> others = Members();
  std::erase_if(others, [this](const MemberEntry& entry) { return entry.id == self_.id; });
  return others;
}

std::vector<MemberEntry> MemberDirectory::Peers() const {
  std::vector<MemberEntry> peers = Others();
  if (!newest_.has_value() || !founded()) {
    return peers;
  }
  for (const log::v1::ConfiguredMember& member : newest_->members()) {
    if (member.id() != self_.id && FindMember(*configuration_, member.id()) == nullptr) {
      peers.push_back(EntryOf(member, *newest_));
    }
  }
  return peers;
}

std::optional<MemberEntry> MemberDirectory::Find(raft::NodeId id) const {
  const log::v1::ConfiguredMember* member = FindConfigured(id.value());
  if (member == nullptr) {
    return std::nullopt;
  }
  const bool is_newest = FindMember(newest(), id.value()) == member;
  return EntryOf(*member, is_newest ? newest() : *configuration_);
}

std::map<raft::NodeId, uint64_t> MemberDirectory::Priorities() const {
  std::map<raft::NodeId, uint64_t> priorities;
  for (const auto& [id, record] : state_machine_.member_records()) {
    if (record.has_priority()) {
      priorities[raft::NodeId(id)] = record.priority();
    }
  }
  return priorities;
}

std::vector<std::string> MemberDirectory::AddressesOf(raft::NodeId id) const {
  const log::v1::ConfiguredMember* member = FindConfigured(id.value());
  if (member == nullptr) {
    return {};
  }
  const log::v1::MemberRecord* record = PublishedBy(id.value());
  return addresses_.Candidates(member->name(),
                               record == nullptr ? member->peer_address() : record->peer_address(),
                               member->peer_address());
}

std::string MemberDirectory::Describe(raft::NodeId id) const {
  const log::v1::ConfiguredMember* member = FindConfigured(id.value());
  return member == nullptr ? absl::StrCat(id.value())
                           : absl::StrCat(id.value(), " \"", member->name(), "\"");
}

}  // namespace raftkv::kv
