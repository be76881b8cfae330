// A whole applied state on its way from a leader to a follower whose next entries are not in the
// log any more (thesis §5).
//
//   leader:   StateMachine::TakeSnapshot -> SnapshotReader -> chunks
//   follower: chunks -> SnapshotWriter (StateMachine::StageSnapshot) -> StagedSnapshot
//             -> LogStore::Install, which makes it the member's state -> StateMachine::Adopt
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "raft/core/snapshot.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// The applied state as of one moment, in chunks; later entries do not change it. One call at a
// time, on any thread; calls wait for the disk. Holds back the deletion of files while it lives.
class SnapshotReader {
 public:
  virtual ~SnapshotReader() = default;

  virtual SnapshotPoint point() const = 0;
  // About how many bytes all chunks have; 0: not known.
  virtual uint64_t EstimateBytes() const { return 0; }
  // The chunk with this number, counted from 0; nullopt after the last. Equal numbers give equal
  // chunks. OutOfRange when the number lies too far before the newest that was read: the snapshot
  // must be sent from the start. DataLoss: a file is corrupted.
  virtual absl::StatusOr<std::optional<std::string>> ReadChunk(uint64_t number) = 0;
};

// A whole state that lies beside a member's own: complete, verified and durable, and nobody's yet.
// Its end drops it, unless it was installed. Immutable.
class StagedSnapshot {
 public:
  virtual ~StagedSnapshot() = default;

  const SnapshotMeta& meta() const { return meta_; }

 protected:
  explicit StagedSnapshot(SnapshotMeta meta) : meta_(std::move(meta)) {}

 private:
  const SnapshotMeta meta_;
};

// Gathers a snapshot beside a member's own state. One call at a time, on any thread; calls wait for
// the disk. Its end removes what it gathered, unless Finish succeeded. Nothing that fails here
// changes the member's state, or ends the process.
class SnapshotWriter {
 public:
  virtual ~SnapshotWriter() = default;

  // Takes the chunk that follows the last one. InvalidArgument: no reader gives such a chunk.
  // ResourceExhausted: the disk is full. Unimplemented: it holds what only a newer version of this
  // program knows. After a failure only the end is left.
  virtual absl::Status Write(absl::string_view chunk) = 0;
  // No chunk follows: verifies the whole. InvalidArgument: it is not what a reader gave, or does
  // not stand where it was said to. Called once, last.
  virtual absl::StatusOr<std::shared_ptr<StagedSnapshot>> Finish() = 0;
};

}  // namespace raftkv::raft
