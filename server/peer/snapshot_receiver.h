// SnapshotReceiver takes the snapshot that a leader brings: stages it chunk by chunk, over as many
// streams as that takes, and has it installed.
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/clock.h"
#include "kv/disk_pool.h"
#include "raft/core/types.h"
#include "raft/runtime/snapshot.h"
#include "raftkv/peer/v1/raft.pb.h"

namespace raftkv::server {

// One snapshot at a time, of the newest term that offers one. Nothing is read from a stream before
// the chunk before is staged, so no more than one waits in memory. Confined to the loop.
class SnapshotReceiver final {
 public:
  // A leader's stream, from its opening on.
  class Stream {
   public:
    // Wants the next frame: OnFrame follows, or OnBroken.
    virtual void ReadNext() = 0;
    // Either ends it: nothing of it may come afterwards.
    virtual void Answer(const peer::v1::InstallSnapshotResponse& response) = 0;
    virtual void Refuse(const grpc::Status& status) = 0;

   protected:
    ~Stream() = default;
  };
  struct Hooks {
    // As RaftDriver's.
    std::function<absl::Status(raft::NodeId from, raft::Term term, const raft::SnapshotPoint&)>
        check;
    std::function<void(raft::NodeId from, raft::Term term)> on_part_heard;
    std::function<void(raft::Term term, std::shared_ptr<raft::StagedSnapshot> snapshot,
                       std::function<void(const absl::Status&)> done)>
        install;
    std::function<std::unique_ptr<raft::SnapshotWriter>(const raft::SnapshotPoint& point)> stage;
    // Takes note of words of a member that make no sense, and returns what to answer.
    std::function<grpc::Status(raft::NodeId from, const absl::Status& status)> refuse_content;
    // A member, for the log.
    std::function<std::string(raft::NodeId member)> describe;
  };

  // Borrows clock and pool, which does long work one after the other.
  SnapshotReceiver(const MonotonicClock* clock, kv::DiskPool* pool, Hooks hooks);
  ~SnapshotReceiver();
  SnapshotReceiver(const SnapshotReceiver&) = delete;
  SnapshotReceiver& operator=(const SnapshotReceiver&) = delete;

  // `from`, who was identified, opens a stream.
  void OnOpening(Stream* stream, raft::NodeId from, const peer::v1::SnapshotOpening& opening);
  // A frame after the opening.
  void OnFrame(Stream* stream, peer::v1::InstallSnapshotRequest frame);
  // What came is no frame.
  void OnMalformed(Stream* stream, const absl::Status& status);
  // The stream is gone. What came on it is kept for a while.
  void OnBroken(Stream* stream);
  // Called every tick.
  void Tick();
  // Refuses the stream that is open, and drops what came.
  void Shutdown();

 private:
  // The staged state goes along with the work that is done on it, on the pool.
  struct Stage {
    std::unique_ptr<raft::SnapshotWriter> writer;
    std::shared_ptr<raft::StagedSnapshot> staged;
  };
  struct Transfer {
    raft::NodeId from;
    raft::Term term;
    raft::SnapshotPoint point;
    std::shared_ptr<Stage> stage;
    Stream* stream = nullptr;
    MonotonicNanos broken_at = 0;  // While there is no stream.
    uint64_t next_chunk = 0;
    uint64_t bytes = 0;
    MonotonicNanos began_at = 0;
    bool working = false;  // On a chunk.
    bool whole = false;    // All chunks are there: being verified, or installed.
    bool installing = false;
  };

  void Begin(Stream* stream, raft::NodeId from, raft::Term term, const raft::SnapshotPoint& point);
  void Resume(Stream* stream, uint64_t first_chunk);
  void AnswerGoOnAt(Stream* stream, uint64_t chunk);
  void OnChunk(peer::v1::SnapshotChunk chunk);
  void OnTotal(uint64_t total);
  void OnChunkStaged(const absl::Status& status);
  void OnVerified(const absl::Status& status);
  void OnInstalled(const absl::Status& status);
  // Has `work` done on the stage, and `then` called with what it returns, unless the transfer is
  // gone by then. False: there is no room for it.
  [[nodiscard]] bool Work(std::function<absl::Status(Stage* stage)> work,
                          void (SnapshotReceiver::*then)(const absl::Status&));
  // Ends the stream; the rest of the snapshot may come on another.
  void EndStream(const grpc::Status& status);
  // Each ends the transfer: the leader is wrong, what it brought cannot be staged, or another
  // reason.
  void FailContent(const absl::Status& status);
  void FailStage(const absl::Status& status);
  void Fail(const grpc::Status& status);
  // Ends the transfer; the stage ends on the pool.
  void Drop();

  const MonotonicClock& clock_;
  kv::DiskPool& pool_;
  const Hooks hooks_;

  // What comes back from the pool, or from the driver, after the receiver's end must not reach it.
  const std::shared_ptr<SnapshotReceiver*> self_ = std::make_shared<SnapshotReceiver*>(this);
  std::shared_ptr<Transfer> transfer_;
  // Stages that are ending: none may begin before.
  int ending_ = 0;
  MonotonicNanos disk_full_until_ = 0;
  bool shut_down_ = false;
};

}  // namespace raftkv::server
