// The quantities that the Raft thesis names, each a type of its own.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <ostream>
#include <string>

#include "base/strong_int.h"

namespace raftkv::raft {

using Term = StrongInt<struct TermTag>;          // 0 is before the first election.
using LogIndex = StrongInt<struct LogIndexTag>;  // The first entry has index 1.
using NodeId = StrongInt<struct NodeIdTag>;      // 0 is nobody.

// Names one write of log or hard state to the log store; grows by one with each. 0 is none.
using WriteId = StrongInt<struct WriteIdTag>;
// Names one linearizable read at the caller of RaftCore; the caller never uses one twice.
using ReadId = StrongInt<struct ReadIdTag>;
// Names one round of heartbeats; never used twice in a term. 0 asks for no reply.
using RoundId = StrongInt<struct RoundIdTag>;

// Milliseconds of cluster time (docs/ARCHITECTURE.md, "An expiry"): what a leader stamps entries
// with. The core only keeps it from going back along the log.
using ClusterMillis = StrongInt<struct ClusterMillisTag>;

inline constexpr NodeId kNobody{0};

// Far beyond what a cluster can reach; a peer's number above it is nonsense, and would make
// arithmetic wrap.
inline constexpr uint64_t kNumberMax = std::numeric_limits<uint64_t>::max() / 4;

// Where an entry stands and in which term it was created; equal ids mean equal entries and equal
// logs before them (thesis §3.5, the log matching property).
struct EntryId {
  Term term;
  LogIndex index;

  friend bool operator==(const EntryId&, const EntryId&) = default;
};

// Stored and sent as numbers: values are frozen.
enum class EntryKind : uint8_t {
  kNoOp = 1,           // What a new leader starts its term with (thesis §6.4).
  kCommands = 2,       // A batch of commands; the payload means nothing to the core.
  kConfiguration = 3,  // Who counts from this entry on (thesis §4.1).
};

struct Configuration;  // configuration.h

// One entry of the replicated log. Cheap to copy: the payload is shared and never changes.
struct Entry {
  EntryId id;
  EntryKind kind = EntryKind::kNoOp;
  ClusterMillis stamp;
  std::shared_ptr<const std::string> payload;  // Null is empty.
  // What the payload of a kConfiguration says of who counts; null for other kinds.
  std::shared_ptr<const Configuration> configuration = nullptr;

  uint64_t payload_bytes() const { return payload == nullptr ? 0 : payload->size(); }
  // What the entry counts for against byte limits in memory and in messages.
  uint64_t size_bytes() const { return payload_bytes() + kOverheadBytes; }

  static constexpr uint64_t kOverheadBytes = 64;
};

// What a node must never forget (thesis §3.8 figure 3.1, "persistent state").
struct HardState {
  Term term;
  NodeId vote = kNobody;  // Whom it voted for in `term`.

  friend bool operator==(const HardState&, const HardState&) = default;
};

}  // namespace raftkv::raft
