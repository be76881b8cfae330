// The meaning of one key's operations one after the other: what the checker holds answers against.
//
// Every change of a key happens at a larger revision than the one before. The revision of a write
// that nobody has been told about is not known; then the state has a lower bound, until an answer
// shows the revision.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "tests/linearizability/history.h"

namespace raftkv::linearizability {

struct KeyState {
  // Whose value the key holds; null: there is no such key.
  const Operation* writer = nullptr;
  // Of the last change of the key, its removal included. Only a lower bound unless exact.
  int64_t revision = 0;
  bool exact = false;

  friend bool operator==(const KeyState&, const KeyState&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const KeyState& state) {
    return H::combine(std::move(h), state.writer, state.revision, state.exact);
  }
};

// The state after an operation of this key took effect with the answer that it got; nothing if
// that is impossible here. An operation of unknown outcome has its full effect; where it would have
// none (a delete of nothing) it is impossible. REQUIRES: it did not fail.
std::optional<KeyState> After(const KeyState& state, const Operation& operation);

// The state after the system has removed the value whose ttl has passed.
// REQUIRES: ExpiryTime(state).
KeyState AfterExpiry(const KeyState& state);

// The first moment at which the system may remove the value; nothing if it may not.
std::optional<int64_t> ExpiryTime(const KeyState& state);

// The mod_revision that the operation must have met on the key (0: no such key), as far as known.
std::optional<int64_t> RevisionMet(const Operation& operation);

// Whether the operation can never again be possible, whatever follows: the revision that it met, or
// that it got, has been passed.
bool HasMissedItsRevision(const KeyState& state, const Operation& operation);

}  // namespace raftkv::linearizability
