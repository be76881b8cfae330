#include "kv/member_directory.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace raftkv::kv {

void MemberDirectory::SetSelfAddresses(std::string client_address, std::string peer_address) {
  self_.client_address = std::move(client_address);
  self_.peer_address = std::move(peer_address);
}

const log::v1::MemberRecord* MemberDirectory::PublishedBy(uint64_t id) const {
  const auto& records = state_machine_.member_records();
  const auto record = records.find(id);
  return record == records.end() ? nullptr : &record->second;
}

const log::v1::ConfiguredMember* MemberDirectory::FindConfigured(uint64_t id) const {
  if (founded()) {
    for (const log::v1::ConfiguredMember& member : configuration_->members()) {
      if (member.id() == id) {
        return &member;
      }
    }
  }
  return nullptr;
}

MemberEntry MemberDirectory::EntryOf(const log::v1::ConfiguredMember& member) const {
  const auto& learners = configuration_->learners();
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
  }
  return entry;
}

std::vector<MemberEntry> MemberDirectory::Members() const {
  std::vector<MemberEntry> members;
  if (founded()) {
    for (const log::v1::ConfiguredMember& member : configuration_->members()) {
      members.push_back(EntryOf(member));
    }
  }
  return members;
}

std::vector<MemberEntry> MemberDirectory::Others() const {
  std::vector<MemberEntry> others = Members();
  std::erase_if(others, [this](const MemberEntry& entry) { return entry.id == self_.id; });
  return others;
}

std::optional<MemberEntry> MemberDirectory::Find(raft::NodeId id) const {
  const log::v1::ConfiguredMember* member = FindConfigured(id.value());
  return member == nullptr ? std::nullopt : std::optional(EntryOf(*member));
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
