#include "server/peer/snapshot_sender.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "raft/core/describe.h"
#include "server/limits.h"
#include "server/log_text.h"
#include "server/loop/event_loop.h"
#include "server/peer/grpc_status.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kRetryInterval = kNanosPerSecond;
constexpr uint64_t kTicksPerSecond = kNanosPerSecond / EventLoop::kTick;
// Streams in a row that only say where to go on, at once each.
constexpr int kAnswersWithoutChunkMax = 2;
// So often a follower that forgot what it had is brought that again.
constexpr int kRestartsMax = 3;

}  // namespace

// Of one sender.
class SnapshotSender::Streams final : public StreamOwner {
 public:
  explicit Streams(SnapshotSender* sender) : sender_(*sender) {}
  void OnWritten() override { sender_.OnWritten(); }
  void OnEnded(const grpc::Status& status,
               const peer::v1::InstallSnapshotResponse& response) override {
    sender_.OnEnded(status, response);
  }

 private:
  SnapshotSender& sender_;
};

SnapshotSender::SnapshotSender(const MonotonicClock* clock, kv::DiskPool* pool,
                               std::string follower, raft::Term term,
                               std::unique_ptr<raft::SnapshotReader> snapshot, Open open)
    : clock_(*clock),
      pool_(*pool),
      follower_(std::move(follower)),
      term_(term),
      point_(snapshot->point()),
      open_(std::move(open)),
      began_at_(clock_.Now()),
      owner_(std::make_unique<Streams>(this)),
      snapshot_(std::move(snapshot)),
      allowance_(kSnapshotBurstBytes),
      allowed_at_(began_at_),
      broken_since_(began_at_) {
  LOG(INFO) << "sending member " << follower_ << " a snapshot as of entry "
            << raft::Describe(point_.last) << ": what it lacks is not in the log any more";
}

SnapshotSender::~SnapshotSender() {
  if (!result_.has_value()) {
    LOG(INFO) << "the snapshot as of entry " << raft::Describe(point_.last) << " to member "
              << follower_ << " is given up after " << bytes_ << " bytes";
  }
  if (stream_ != nullptr) {
    stream_->Abandon();
  }
  // When the pool has no room the snapshot ends here.
  static_cast<void>(pool_.Submit(kv::DiskPool::Length::kLong,
                                 [snapshot = std::move(snapshot_)] { return [] {}; }));
}

void SnapshotSender::Tick() {
  if (result_.has_value()) {
    return;
  }
  const MonotonicNanos now = clock_.Now();
  constexpr auto kRate = static_cast<int64_t>(kSnapshotBytesPerSecond);
  // A longer pause fills the burst all the same, and must not overflow.
  const MonotonicNanos passed = std::min(now - allowed_at_, kNanosPerSecond);
  allowed_at_ = now;
  allowance_ = std::min(static_cast<int64_t>(kSnapshotBurstBytes),
                        allowance_ + passed * kRate / kNanosPerSecond);
  if (stream_ == nullptr) {
    if (broken_since_ != 0 && now - broken_since_ >= kSnapshotRetrySeconds * kNanosPerSecond) {
      End(absl::UnavailableError(absl::StrCat("no stream brought it further for ",
                                              kSnapshotRetrySeconds, " s: ", problem_)));
      return;
    }
    if (now >= next_attempt_) {
      OpenStream();
    }
  } else if (writing_ || end_written_) {
    const int seconds = writing_ ? kSnapshotStallSeconds : kSnapshotAnswerSeconds;
    if (++waited_ticks_ >= static_cast<uint64_t>(seconds) * kTicksPerSecond) {
      Break(absl::StrCat("it took nothing for ", seconds, " s"));
      return;
    }
  }
  MaybeRead();
  MaybeWrite();
}

void SnapshotSender::OpenStream() {
  stream_ = open_(owner_.get(),
                  wire::ToProto({.term = term_, .point = point_, .first_chunk = next_write_}));
  if (stream_ == nullptr && broken_since_ == 0) {
    broken_since_ = clock_.Now();
  }
  writing_ = stream_ != nullptr;
  end_written_ = false;
  waited_ticks_ = 0;
}

void SnapshotSender::OnDisconnected(const std::string& why) {
  if (stream_ != nullptr) {
    Break(why);
  }
}

void SnapshotSender::Break(const std::string& why) {
  if (stream_ != nullptr) {
    std::exchange(stream_, nullptr)->Abandon();
  }
  problem_ = why;
  const MonotonicNanos now = clock_.Now();
  if (broken_since_ == 0) {
    broken_since_ = now;
    next_attempt_ = now;
  } else {
    next_attempt_ = now + kRetryInterval;
  }
  Seek(next_write_);
}

void SnapshotSender::OnEnded(const grpc::Status& status,
                             const peer::v1::InstallSnapshotResponse& response) {
  stream_ = nullptr;
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      break;
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::UNIMPLEMENTED:
      End(FromPeerStatus(status));
      return;
    default:
      Break(PeerFailureText(status));
      return;
  }
  switch (response.outcome()) {
    case peer::v1::InstallSnapshotResponse::OUTCOME_INSTALLED:
    case peer::v1::InstallSnapshotResponse::OUTCOME_HAVE:
      End(absl::OkStatus());
      return;
    case peer::v1::InstallSnapshotResponse::OUTCOME_GO_ON_AT:
      GoOnAt(response.next_chunk());
      return;
    default:  // Open enum: a newer peer may know more.
      End(absl::InvalidArgumentError(
          absl::StrCat("outcome ", static_cast<int>(response.outcome()), " is not known")));
  }
}

void SnapshotSender::GoOnAt(uint64_t number) {
  if (number > read_) {
    End(absl::InvalidArgumentError(absl::StrCat("it wants chunk ", number, " next, but only ",
                                                read_, " were ever read for it")));
    return;
  }
  if (number < written_ && ++restarts_ > kRestartsMax) {
    End(absl::UnavailableError(absl::StrCat("it wants chunk ", number, " again, after ",
                                            kRestartsMax, " times that it went back: ", problem_)));
    return;
  }
  next_write_ = written_ = number;
  if (++answers_without_chunk_ > kAnswersWithoutChunkMax) {
    Break(absl::StrCat("it wants chunk ", number, " next again and again"));
    return;
  }
  Seek(number);
  next_attempt_ = clock_.Now();
}

void SnapshotSender::Seek(uint64_t number) {
  ++seeks_;
  ahead_.clear();
  next_read_ = number;
}

void SnapshotSender::MaybeRead() {
  if (result_.has_value() || reading_ || AllRead() || ahead_.size() >= kSnapshotChunksAheadMax) {
    return;
  }
  reading_ = pool_.Submit(kv::DiskPool::Length::kLong,
                          [self = std::weak_ptr<SnapshotSender*>(self_), snapshot = snapshot_,
                           number = next_read_, seek = seeks_]() -> std::function<void()> {
                            auto chunk =
                                std::make_shared<absl::StatusOr<std::optional<std::string>>>(
                                    snapshot->ReadChunk(number));
                            return [self, seek, chunk] {
                              if (const auto sender = self.lock(); sender != nullptr) {
                                (*sender)->OnRead(seek, *std::move(chunk));
                              }
                            };
                          });
}

void SnapshotSender::OnRead(uint64_t seek, absl::StatusOr<std::optional<std::string>> chunk) {
  reading_ = false;
  if (result_.has_value()) {
    return;
  }
  if (seek == seeks_) {
    if (!chunk.ok()) {
      End(chunk.status());
      return;
    }
    if (chunk->has_value()) {
      ahead_.push_back({.number = next_read_, .data = **std::move(chunk)});
      ++next_read_;
      read_ = std::max(read_, next_read_);
    } else {
      total_ = next_read_;
    }
  }
  MaybeRead();
  MaybeWrite();
}

void SnapshotSender::OnWritten() {
  writing_ = false;
  waited_ticks_ = 0;
  MaybeWrite();
}

void SnapshotSender::MaybeWrite() {
  if (result_.has_value() || stream_ == nullptr || writing_ || end_written_) {
    return;
  }
  peer::v1::InstallSnapshotRequest frame;
  if (!ahead_.empty()) {
    if (allowance_ <= 0) {
      return;
    }
    Chunk chunk = std::move(ahead_.front());
    ahead_.pop_front();
    allowance_ -= static_cast<int64_t>(chunk.data.size());
    bytes_ += chunk.data.size();
    next_write_ = chunk.number + 1;
    answers_without_chunk_ = 0;
    if (next_write_ > written_) {
      written_ = next_write_;
      broken_since_ = 0;
    }
    *frame.mutable_chunk() =
        wire::ToProto(wire::SnapshotChunk{.number = chunk.number, .data = std::move(chunk.data)});
  } else if (AllRead()) {
    end_written_ = true;
    frame.set_chunks_total(*total_);
  } else {
    return;
  }
  writing_ = true;
  waited_ticks_ = 0;
  stream_->Write(frame);
  MaybeRead();
}

void SnapshotSender::End(const absl::Status& status) {
  result_ = status;
  if (stream_ != nullptr) {
    std::exchange(stream_, nullptr)->Abandon();
  }
  const double seconds = static_cast<double>(clock_.Now() - began_at_) / kNanosPerSecond;
  if (status.ok()) {
    LOG(INFO) << "member " << follower_ << " has the snapshot as of entry "
              << raft::Describe(point_.last) << ": " << bytes_ << " bytes in " << seconds << " s";
  } else {
    LOG(WARNING) << "member " << follower_ << " did not take the snapshot as of entry "
                 << raft::Describe(point_.last) << ", after " << bytes_ << " bytes in " << seconds
                 << " s: " << status.message();
  }
}

}  // namespace raftkv::server
