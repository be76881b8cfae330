// SnapshotSender brings one snapshot to one follower, over as many streams as that takes: what
// broke goes on at the chunk that the follower wants next.
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/clock.h"
#include "kv/disk_pool.h"
#include "raft/core/types.h"
#include "raft/runtime/snapshot.h"
#include "raft/wire/convert.h"
#include "raftkv/peer/v1/raft.pb.h"

namespace raftkv::server {

// Chunks are read on a pool, a few ahead, and leave no faster than kSnapshotBytesPerSecond. Where a
// follower does not take them is found out by ticks, so that a process that was frozen does not
// take its own sleep for the follower's silence. Confined to the loop.
class SnapshotSender final {
 public:
  // Where what happens to a stream is told. Of a stream that was abandoned nothing is.
  class StreamOwner {
   public:
    // The last frame is on its way: another may be written.
    virtual void OnWritten() = 0;
    // The stream is over, and gone: the follower answered, or it broke.
    virtual void OnEnded(const grpc::Status& status,
                         const peer::v1::InstallSnapshotResponse& response) = 0;

   protected:
    ~StreamOwner() = default;
  };
  // A stream that is being opened, or open. It owns itself.
  class Stream {
   public:
    // REQUIRES: the opening and the frame before are written.
    virtual void Write(const peer::v1::InstallSnapshotRequest& frame) = 0;
    // It is of no use any more. Called once, not after OnEnded.
    virtual void Abandon() = 0;

   protected:
    ~Stream() = default;
  };
  // Opens a stream with this opening, whose identity is left to whoever does it, and writes that.
  // Null while the follower is not connected.
  using Open = std::function<Stream*(StreamOwner* owner, const peer::v1::SnapshotOpening& opening)>;

  // `follower` is for the log. Borrows clock and pool, which does long work one after the other.
  // Does nothing before the first Tick.
  SnapshotSender(const MonotonicClock* clock, kv::DiskPool* pool, std::string follower,
                 raft::Term term, std::unique_ptr<raft::SnapshotReader> snapshot, Open open);
  // Gives it up. The snapshot ends on the pool.
  ~SnapshotSender();
  SnapshotSender(const SnapshotSender&) = delete;
  SnapshotSender& operator=(const SnapshotSender&) = delete;

  // Called every tick of EventLoop::kTick.
  void Tick();
  // The connection is another one now: the stream is of the old one.
  void OnDisconnected(const std::string& why);
  // How it ended: OK: the follower has it; nullopt: it has not.
  const std::optional<absl::Status>& result() const { return result_; }
  // Of chunks, those that were sent twice included.
  uint64_t sent_bytes() const { return bytes_; }

 private:
  class Streams;

  void OnWritten();
  void OnEnded(const grpc::Status& status, const peer::v1::InstallSnapshotResponse& response);
  void OnRead(uint64_t seek, absl::StatusOr<std::optional<std::string>> chunk);
  void OpenStream();
  // Goes on later, or gives up when it has tried for long.
  void Break(const std::string& why);
  void GoOnAt(uint64_t number);
  // Reads from this chunk on.
  void Seek(uint64_t number);
  void MaybeRead();
  void MaybeWrite();
  bool AllRead() const { return total_.has_value() && next_read_ == *total_; }
  void End(const absl::Status& status);

  struct Chunk {
    uint64_t number;
    std::string data;
  };

  // Constant after construction.
  const MonotonicClock& clock_;
  kv::DiskPool& pool_;
  const std::string follower_;
  const raft::Term term_;
  const raft::SnapshotPoint point_;
  const Open open_;
  const MonotonicNanos began_at_;

  // What comes back from the pool after the sender's end must not reach it.
  const std::shared_ptr<SnapshotSender*> self_ = std::make_shared<SnapshotSender*>(this);
  const std::unique_ptr<Streams> owner_;
  std::shared_ptr<raft::SnapshotReader> snapshot_;

  // Reading.
  std::deque<Chunk> ahead_;  // Invariant: numbers without gaps, from next_write_ to next_read_.
  bool reading_ = false;
  uint64_t seeks_ = 0;
  uint64_t next_read_ = 0;
  uint64_t read_ = 0;              // The chunks that were ever read have numbers below this.
  std::optional<uint64_t> total_;  // Once known.

  // Writing.
  Stream* stream_ = nullptr;
  bool writing_ = false;  // The opening, too.
  bool end_written_ = false;
  uint64_t next_write_ = 0;
  uint64_t written_ = 0;  // Of chunks below this none is news to the follower.
  int answers_without_chunk_ = 0;
  int restarts_ = 0;
  uint64_t waited_ticks_ = 0;
  int64_t allowance_;  // Bytes that may leave now; below 0 after a chunk that was larger.
  MonotonicNanos allowed_at_;
  uint64_t bytes_ = 0;

  // Since when no stream brings the follower further; 0: one does.
  MonotonicNanos broken_since_ = 0;
  MonotonicNanos next_attempt_ = 0;
  std::string problem_ = "no connection yet";

  std::optional<absl::Status> result_;
};

}  // namespace raftkv::server
