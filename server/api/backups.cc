#include "server/api/backups.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "base/version.h"
#include "kv/backup_file.h"
#include "kv/errors.h"
#include "raftkv/v1/maintenance.pb.h"
#include "server/limits.h"
#include "server/loop/event_loop.h"
#include "server/loop/grpc_error.h"
#include "server/loop/message_bytes.h"
#include "server/loop/unknown_fields.h"

namespace raftkv::server {
namespace {

google::protobuf::Timestamp WallClockNow() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(seconds.count());
  timestamp.set_nanos(static_cast<int32_t>((now - seconds).count()));
  return timestamp;
}

}  // namespace

// One backup. Deletes itself once its last operation has ended, gRPC has said that the call is
// done, and nothing is awaited from elsewhere.
class Backups::Call final : public EventTag, private UnfinishedRequests::Request {
 public:
  explicit Call(Backups* backups) : backups_(*backups), stream_(&context_) {
    context_.AsyncNotifyWhenDone(&done_tag_);
    backups_.service_->Announce(backups_.method_, &context_, &stream_, backups_.queue_, this);
  }

  void OnEvent(bool ok) override {
    switch (state_) {
      case State::kAnnounced:
        if (!ok) {  // The server is shutting down.
          delete this;
          return;
        }
        new Call(&backups_);
        state_ = State::kReading;
        unfinished_ = calls().unfinished.Add(this, calls().clock->Now());
        stream_.Read(&request_, this);
        break;
      case State::kReading:
        if (unfinished_.has_value()) {
          calls().unfinished.Remove(*unfinished_);
        }
        Begin(ok);
        break;
      case State::kSending:
        OnWritten(ok);
        break;
      case State::kFinishing:
        if (ok && is_whole_) {
          ++backups_.counts_.completed;
          LOG(INFO) << "the backup to " << peer_ << " is complete: " << offset_ << " bytes";
        }
        RemoveTicket();
        state_ = State::kFinished;
        break;
      case State::kFinished:
        LOG(FATAL) << "an event for a backup that is over";
    }
    DeleteIfOver();
  }

  void OnLeftOver(bool ok) override {
    if (state_ == State::kAnnounced && !ok) {
      delete this;
      return;
    }
    state_ = State::kFinished;
    DeleteIfOver();
  }

  // Goes on as far as it can.
  void Pump() {
    if (state_ != State::kSending || writing_) {
      return;
    }
    if (!failed_.ok() || done_ || backups_.ended_) {
      Finish();
      return;
    }
    if (ahead_.has_value() && backups_.allowance_ > 0 &&
        calls().backlog.HasRoomFor(BytesInBacklog(*ahead_))) {
      Send(*std::exchange(ahead_, std::nullopt));
    }
    MaybeRead();
  }

 private:
  enum class State { kAnnounced, kReading, kSending, kFinishing, kFinished };

  class DoneTag final : public EventTag {
   public:
    explicit DoneTag(Call* call) : call_(call) {}
    void OnEvent(bool /*ok*/) override {
      call_->done_ = true;
      call_->Pump();
      call_->DeleteIfOver();
    }
    void OnLeftOver(bool /*ok*/) override {
      call_->done_ = true;
      call_->DeleteIfOver();
    }

   private:
    Call* const call_;
  };

  CallAccounting& calls() { return *backups_.accounting_; }

  // All of a backup's messages count, since each may be the one that the client does not take.
  static uint64_t BytesInBacklog(const v1::BackupResponse& response) {
    return std::max<uint64_t>(response.data().size(), kSmallAnswerBytes);
  }

  void GiveUp() override {
    unfinished_.reset();
    context_.TryCancel();
  }

  void Begin(bool ok) {
    state_ = State::kSending;
    v1::BackupRequest request;
    if (!ok || !ParseMessage(&request_, &request)) {
      failed_ = kv::MalformedError(v1::BackupRequest::descriptor()->full_name());
    } else {
      failed_ = CheckFieldsAreKnown(request);
    }
    if (failed_.ok() && (backups_.store_.draining() || backups_.ended_)) {
      failed_ = kv::ShuttingDownError();
    }
    if (failed_.ok() && backups_.running_.size() >= kBackupsMax) {
      failed_ = kv::BusyWithBackupsError(kBackupsMax);
    }
    if (!failed_.ok()) {
      Pump();
      return;
    }
    backups_.running_.insert(this);
    peer_ = context_.peer();
    const MonotonicNanos now = calls().clock->Now();
    const gpr_timespec deadline = context_.raw_deadline();
    // The whole may take long; for the beginning there is as long as for another call.
    const MonotonicNanos left =
        std::min(calls().default_timeout, TimeUntil(deadline, gpr_now(deadline.clock_type)));
    // One for the answer, and one for this function: the answer may come before it returns.
    awaited_ += 2;
    backups_.store_.AwaitFreshness({.linearizable = request.consistency() != v1::CONSISTENCY_STALE,
                                    .min_revision = 0,
                                    .deadline = DeadlineAfter(now, left - AnswerMargin(left))},
                                   [this](const absl::Status& fresh) { OnFresh(fresh); });
    --awaited_;
    Pump();
  }

  void OnFresh(const absl::Status& fresh) {
    --awaited_;
    failed_ = fresh;
    if (failed_.ok() && !done_ && !backups_.ended_) {
      TakeState();
    }
    Pump();
    DeleteIfOver();
  }

  void TakeState() {
    kv::Store::Backup backup = backups_.store_.TakeBackup();
    const raft::SnapshotPoint point = backup.state->point();
    v1::BackupManifest& manifest = *first_.mutable_manifest();
    backups_.header_(backup.digest.revision, first_.mutable_header());
    if (first_.header().cluster_id() == 0 || point.last.index == raft::LogIndex(0)) {
      failed_ = kv::NoLeaderError();  // There is no state yet.
      return;
    }
    manifest.set_cluster_id(first_.header().cluster_id());
    manifest.set_member_name(backups_.member_name_);
    manifest.set_version(kVersion);
    *manifest.mutable_created_at() = WallClockNow();
    manifest.set_index(point.last.index.value());
    manifest.set_term(point.last.term.value());
    manifest.set_stamp(point.stamp.value());
    manifest.set_cluster_time(backup.cluster_time.value());
    manifest.set_revision(backup.digest.revision);
    manifest.set_key_count(backup.digest.key_count);
    manifest.set_state_hash(backup.digest.hash);
    manifest.set_cluster_version(backup.cluster_version);
    state_read_ = std::move(backup.state);
    ++backups_.counts_.begun;
    LOG(INFO) << "sending " << peer_ << " a backup as of revision " << manifest.revision();
  }

  void MaybeRead() {
    if (state_read_ == nullptr || awaited_ > 0 || ahead_.has_value() || is_whole_) {
      return;
    }
    const bool submitted = backups_.pool_.Submit(
        kv::DiskPool::Length::kLong, [this, state = state_read_, number = next_chunk_] {
          const uint64_t estimate = number == 0 ? state->EstimateBytes() : 0;
          auto chunk = std::make_shared<absl::StatusOr<std::optional<std::string>>>(
              state->ReadChunk(number));
          // Copies of the task may outlive the call.
          return [this, chunk, estimate] { OnRead(*chunk, estimate); };
        });
    if (submitted) {
      ++awaited_;
    }
    // Else a later turn tries again.
  }

  void OnRead(const absl::StatusOr<std::optional<std::string>>& chunk, uint64_t estimate) {
    --awaited_;
    if (!chunk.ok()) {
      failed_ = backups_.store_.ReadError(chunk.status());
    } else {
      ahead_.emplace();
      if (next_chunk_ == 0) {
        *ahead_ = std::move(first_);
        ahead_->set_bytes_estimate(static_cast<int64_t>(estimate));
        ahead_->set_data(encoder_.Begin(ahead_->manifest()));
      }
      if (chunk->has_value()) {
        ahead_->mutable_data()->append(encoder_.AddChunk(**chunk));
      } else {
        ahead_->mutable_data()->append(encoder_.End());
        ahead_->set_last(true);
        is_whole_ = true;
      }
      ++next_chunk_;
    }
    Pump();
    DeleteIfOver();
  }

  void Send(v1::BackupResponse response) {
    const auto bytes = static_cast<int64_t>(response.data().size());
    response.set_offset(offset_);
    response.set_checksum(kv::BackupChecksum(response.data()));
    offset_ += bytes;
    backups_.allowance_ -= bytes;
    backups_.counts_.bytes += static_cast<uint64_t>(bytes);
    ticket_ = calls().backlog.Add(
        BytesInBacklog(response),
        DeadlineAfter(calls().clock->Now(), kBackupStallSeconds * kNanosPerSecond),
        [this] { context_.TryCancel(); });
    if (response.last()) {
      LeaveRunning();
      state_ = State::kFinishing;
      stream_.WriteAndFinish(SerializeMessage(response), grpc::WriteOptions(), grpc::Status::OK,
                             this);
      return;
    }
    writing_ = true;
    stream_.Write(SerializeMessage(response), this);
  }

  void OnWritten(bool ok) {
    writing_ = false;
    RemoveTicket();
    if (!ok && failed_.ok()) {
      failed_ = absl::CancelledError("the client is gone, or takes nothing");
    }
    Pump();
  }

  void RemoveTicket() {
    if (ticket_.has_value()) {
      calls().backlog.Remove(*std::exchange(ticket_, std::nullopt));
    }
  }

  void Finish() {
    if (state_read_ != nullptr) {
      LOG(INFO) << "the backup to " << peer_ << " ends early, after " << offset_ << " bytes"
                << (failed_.ok() ? "" : absl::StrCat(": ", failed_.message()));
    }
    LeaveRunning();
    state_ = State::kFinishing;
    is_whole_ = false;
    absl::Status error = failed_;
    if (error.ok()) {
      error = done_ ? absl::CancelledError("the client is gone") : kv::ShuttingDownError();
    }
    if (const std::optional<int> pushback = RetryPushbackMs(error); pushback.has_value()) {
      context_.AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(*pushback));
    }
    stream_.Finish(ToGrpcStatus(error), this);
  }

  // The state is let go of on the pool, since that may touch the disk.
  void LeaveRunning() {
    backups_.running_.erase(this);
    if (state_read_ != nullptr && awaited_ == 0) {
      // When the pool has no room it ends here.
      static_cast<void>(backups_.pool_.Submit(kv::DiskPool::Length::kLong,
                                              [state = std::move(state_read_)] { return [] {}; }));
    }
    state_read_ = nullptr;
  }

  void DeleteIfOver() {
    if (state_ == State::kFinished && done_ && awaited_ == 0) {
      delete this;
    }
  }

  Backups& backups_;
  State state_ = State::kAnnounced;
  // gRPC says that the call is over, whatever is still to be written.
  bool done_ = false;
  DoneTag done_tag_{this};
  grpc::ServerContext context_;
  grpc::ByteBuffer request_;
  UnaryService::Stream stream_;
  std::optional<UnfinishedRequests::Ticket> unfinished_;
  // While a message is on its way.
  std::optional<AnswerBacklog::Ticket> ticket_;
  bool writing_ = false;
  absl::Status failed_;
  // For logs: gRPC does not know it any more once the connection is gone.
  std::string peer_;

  // Answers of the store and of the pool that have yet to come.
  int awaited_ = 0;
  // Shared with the task that reads a chunk of it.
  std::shared_ptr<raft::SnapshotReader> state_read_;
  uint64_t next_chunk_ = 0;
  kv::BackupEncoder encoder_;
  // The first message, before its data is there; and the next one.
  v1::BackupResponse first_;
  std::optional<v1::BackupResponse> ahead_;
  int64_t offset_ = 0;
  // The end was read.
  bool is_whole_ = false;
};

Backups::Backups(kv::Store* store, kv::DiskPool* pool, ResponseHeaderFiller header,
                 std::string member_name)
    : store_(*store),
      pool_(*pool),
      header_(std::move(header)),
      member_name_(std::move(member_name)) {}

Backups::~Backups() = default;

void Backups::Start(UnaryService* service, int method, grpc::ServerCompletionQueue* queue,
                    CallAccounting* accounting) {
  service_ = service;
  method_ = method;
  queue_ = queue;
  accounting_ = accounting;
  allowed_at_ = accounting_->clock->Now();
  new Call(this);
}

void Backups::OnTurn() {
  if (running_.empty()) {
    return;
  }
  const MonotonicNanos now = accounting_->clock->Now();
  // A longer pause fills the burst all the same, and must not overflow.
  const MonotonicNanos passed = std::min(now - allowed_at_, kNanosPerSecond);
  const int64_t gained = passed * static_cast<int64_t>(kBackupBytesPerSecond) / kNanosPerSecond;
  allowed_at_ = now;
  allowance_ = std::min(static_cast<int64_t>(kBackupBurstBytes), allowance_ + gained);
  // A call may leave the set when it goes on.
  for (Call* call : std::set<Call*>(running_)) {
    call->Pump();
  }
}

void Backups::End() {
  ended_ = true;
  for (Call* call : std::set<Call*>(running_)) {
    call->Pump();
  }
}

}  // namespace raftkv::server
