// What the client library takes and returns about who is a member (types.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/member_status.h"

namespace raftkv {

struct TransferLeadershipOptions {
  std::optional<absl::Duration> timeout = std::nullopt;
};

struct AddMemberOptions {
  bool stay_learner = false;  // do not let it vote once it has caught up
  std::optional<absl::Duration> timeout = std::nullopt;
};

struct ChangeMemberOptions {
  std::optional<absl::Duration> timeout = std::nullopt;
};

// A member by its name, or by its id when that is not 0.
struct MemberTarget {
  uint64_t id = 0;
  std::string name = {};
};

struct Member {
  uint64_t id = 0;
  std::string name = {};
  std::string peer_address = {};
  std::string client_address = {};  // empty until the member has published it
  MemberRole role = MemberRole::kUnspecified;
  bool is_leader = false;
  std::string version = {};  // empty until the member has published it
  // Of those that keep up, the one with the highest leads; one with 0 only where no other can.
  uint32_t priority = 0;
};

struct ListMembersResult {
  ResponseHeader header = {};
  std::vector<Member> members = {};
};

struct TransferLeadershipResult {
  ResponseHeader header = {};  // `leader_id` leads now
};

// What AddMember, PromoteMember and UpdateMember have made of a member.
struct ChangeMemberResult {
  ResponseHeader header = {};
  Member member = {};
};

struct RemoveMemberResult {
  ResponseHeader header = {};
};

}  // namespace raftkv
