// What the states after the last entries that were applied were, in short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "absl/types/span.h"
#include "kv/applied_state.h"
#include "kv/state_hash.h"
#include "raft/core/types.h"

namespace raftkv::kv {

// Confined to one thread.
class RecentDigests final {
 public:
  // Keeps those of the last `max` entries. `state` is as of now.
  RecentDigests(size_t max, const AppliedState& state) : max_(max) { Restart(state); }

  // The next entries were applied, and left these, one each.
  void Add(absl::Span<const StateDigest> digests) {
    for (const StateDigest& digest : digests) {
      if (digests_.size() == max_) {
        digests_.pop_front();
      }
      digests_.push_back(digest);
      last_ = last_.Next();
    }
  }

  // Another state takes the place of the one so far.
  void Restart(const AppliedState& state) {
    digests_.assign(1, DigestOf(state));
    last_ = state.id.index;
  }

  // nullopt: that entry is not applied, or not among the last.
  std::optional<StateDigest> At(raft::LogIndex index) const {
    if (index < first() || index > last_) {
      return std::nullopt;
    }
    return digests_[index.value() - first().value()];
  }

  // The oldest and the newest entry that it knows of.
  raft::LogIndex first() const { return raft::LogIndex(last_.value() - (digests_.size() - 1)); }
  raft::LogIndex last() const { return last_; }

 private:
  const size_t max_;
  raft::LogIndex last_;
  // Never empty. The last one is of the entry at last_.
  std::deque<StateDigest> digests_;
};

}  // namespace raftkv::kv
