// The record of who the members are (log/v1/configuration.proto), and the steps by which one comes
// out of another: what a change of members (kv/membership.h) puts into the log. Functions of their
// arguments.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "raft/core/configuration.h"
#include "raftkv/log/v1/configuration.pb.h"

namespace raftkv::kv {

// nullptr: no member has that id.
const log::v1::ConfiguredMember* FindMember(const log::v1::ClusterConfiguration& record,
                                            uint64_t id);
// The same by its name.
const log::v1::ConfiguredMember* FindMemberNamed(const log::v1::ClusterConfiguration& record,
                                                 absl::string_view name);
// The largest id that any member has had.
uint64_t LastMemberId(const log::v1::ClusterConfiguration& record);
// Whether the member `id` is one no more: it was, and the record lacks it. One that the record does
// not know yet has a larger id than any in it.
bool WasRemoved(const log::v1::ClusterConfiguration& record, uint64_t id);
// Who counts.
raft::Configuration IdsOf(const log::v1::ClusterConfiguration& record);

// The steps. REQUIRES, but for Left: `record` is not joint.

// With one more learner, whose id is the next that was never used. `member.id` is not looked at.
log::v1::ClusterConfiguration WithLearner(log::v1::ClusterConfiguration record,
                                          log::v1::ConfiguredMember member);
// Joint: the learner `id` is to vote.
log::v1::ClusterConfiguration Promoting(log::v1::ClusterConfiguration record, uint64_t id);
// Without the member `id`; of a voter joint, so that it is still there until Left.
log::v1::ClusterConfiguration Removing(log::v1::ClusterConfiguration record, uint64_t id);
// With another address of the member `id`.
log::v1::ClusterConfiguration WithPeerAddress(log::v1::ClusterConfiguration record, uint64_t id,
                                              absl::string_view peer_address);
// What follows a joint record: without the outgoing voters.
log::v1::ClusterConfiguration Left(log::v1::ClusterConfiguration record);

}  // namespace raftkv::kv
