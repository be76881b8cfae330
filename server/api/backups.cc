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

// One backup.
class Backups::Call final : public StreamCall {
 public:
  explicit Call(Backups* backups) : StreamCall(backups->method_), backups_(*backups) {}

  // Goes on as far as it can.
  void Pump() {
    if (!is_open() || reading() || writing()) {
      return;
    }
    if (!failed_.ok() || is_gone() || backups_.ended_) {
      EndEarly();
      return;
    }
    if (ahead_.has_value() && backups_.allowance_ > 0 &&
        calls().backlog.HasRoomFor(BytesInBacklog(*ahead_))) {
      Send(*std::exchange(ahead_, std::nullopt));
    }
    MaybeRead();
  }

 private:
  void OnBegun() override {
    new Call(&backups_);
    Read(/*whole_soon=*/true);
  }

  void OnWritten(bool ok) override {
    RemoveTicket();
    if (!ok && failed_.ok()) {
      failed_ = absl::CancelledError("the client is gone, or takes nothing");
    }
    Pump();
  }

  void OnGone() override { Pump(); }

  void OnFinished(bool ok) override {
    if (ok && is_whole_) {
      ++backups_.counts_.completed;
      LOG(INFO) << "the backup to " << peer_ << " is complete: " << offset_ << " bytes";
    }
    RemoveTicket();
  }

  bool IsAwaited() const override { return awaited_ > 0; }

  // All of a backup's messages count, since each may be the one that the client does not take.
  static uint64_t BytesInBacklog(const v1::BackupResponse& response) {
    return std::max<uint64_t>(response.data().size(), kSmallAnswerBytes);
  }

  void OnRead(bool ok, grpc::ByteBuffer* message) override {
    v1::BackupRequest request;
    if (!ok || !ParseMessage(message, &request)) {
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
    peer_ = context().peer();
    const MonotonicNanos now = calls().clock->Now();
    // The whole may take long; for the beginning there is as long as for another call.
    const MonotonicNanos left =
        std::min(calls().default_timeout, std::max<MonotonicNanos>(deadline() - now, 0));
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
    if (failed_.ok() && !is_gone() && !backups_.ended_) {
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
        [this] { Cancel(); });
    if (response.last()) {
      LeaveRunning();
      WriteAndFinish(SerializeMessage(response));
      return;
    }
    Write(SerializeMessage(response));
  }

  void RemoveTicket() {
    if (ticket_.has_value()) {
      calls().backlog.Remove(*std::exchange(ticket_, std::nullopt));
    }
  }

  void EndEarly() {
    if (state_read_ != nullptr) {
      LOG(INFO) << "the backup to " << peer_ << " ends early, after " << offset_ << " bytes"
                << (failed_.ok() ? "" : absl::StrCat(": ", failed_.message()));
    }
    LeaveRunning();
    is_whole_ = false;
    absl::Status error = failed_;
    if (error.ok()) {
      error = is_gone() ? absl::CancelledError("the client is gone") : kv::ShuttingDownError();
    }
    Fail(error);
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

  Backups& backups_;
  // While a message is on its way.
  std::optional<AnswerBacklog::Ticket> ticket_;
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
  method_ = {.service = service, .number = method, .queue = queue, .accounting = accounting};
  allowed_at_ = accounting->clock->Now();
  new Call(this);
}

void Backups::OnTurn() {
  if (running_.empty()) {
    return;
  }
  const MonotonicNanos now = method_.accounting->clock->Now();
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
