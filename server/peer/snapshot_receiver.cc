#include "server/peer/snapshot_receiver.h"

#include <glog/logging.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "raft/core/describe.h"
#include "raft/wire/convert.h"
#include "server/limits.h"
#include "server/peer/grpc_status.h"

namespace raftkv::server {
namespace {

grpc::Status Unavailable(const std::string& why) {
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, why);
}
grpc::Status Exhausted(const std::string& why) {
  return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, why);
}

peer::v1::InstallSnapshotResponse Outcome(peer::v1::InstallSnapshotResponse::Outcome outcome) {
  peer::v1::InstallSnapshotResponse response;
  response.set_outcome(outcome);
  return response;
}

}  // namespace

SnapshotReceiver::SnapshotReceiver(const MonotonicClock* clock, kv::DiskPool* pool, Hooks hooks)
    : clock_(*clock), pool_(*pool), hooks_(std::move(hooks)) {}

SnapshotReceiver::~SnapshotReceiver() { Shutdown(); }

void SnapshotReceiver::OnOpening(Stream* stream, raft::NodeId from,
                                 const peer::v1::SnapshotOpening& opening) {
  if (shut_down_) {
    stream->Refuse(Unavailable("the member is stopping"));
    return;
  }
  const auto offer = wire::FromProto(opening);
  if (!offer.ok()) {
    stream->Refuse(hooks_.refuse_content(from, offer.status()));
    return;
  }
  const absl::Status use = hooks_.check(from, offer->term, offer->point);
  if (absl::IsAlreadyExists(use)) {
    stream->Answer(Outcome(peer::v1::InstallSnapshotResponse::OUTCOME_HAVE));
    return;
  }
  if (absl::IsInvalidArgument(use)) {
    stream->Refuse(hooks_.refuse_content(from, use));
    return;
  }
  if (!use.ok()) {
    stream->Refuse(ToPeerStatus(use));
    return;
  }
  if (transfer_ != nullptr) {
    const bool same_leader = transfer_->from == from && transfer_->term == offer->term;
    if (same_leader && transfer_->point == offer->point) {
      Resume(stream, offer->first_chunk);
      return;
    }
    if (transfer_->installing || (!same_leader && offer->term <= transfer_->term)) {
      stream->Refuse(
          Exhausted(absl::StrCat("the snapshot as of entry ", raft::Describe(transfer_->point.last),
                                 " of member ", hooks_.describe(transfer_->from), " comes in")));
      return;
    }
    LOG(INFO) << "member " << hooks_.describe(from) << " brings a snapshot as of entry "
              << raft::Describe(offer->point.last) << " in place of that as of entry "
              << raft::Describe(transfer_->point.last) << ", of which " << transfer_->bytes
              << " bytes had come";
    EndStream(grpc::Status(grpc::StatusCode::ABORTED, "another snapshot takes its place"));
    Drop();
  }
  if (ending_ > 0) {
    stream->Refuse(Exhausted("what came of another snapshot is being removed"));
    return;
  }
  if (clock_.Now() < disk_full_until_) {
    stream->Refuse(Exhausted("the disk was full a moment ago"));
    return;
  }
  if (offer->first_chunk != 0) {
    AnswerGoOnAt(stream, 0);
    return;
  }
  Begin(stream, from, offer->term, offer->point);
}

void SnapshotReceiver::Begin(Stream* stream, raft::NodeId from, raft::Term term,
                             const raft::SnapshotPoint& point) {
  LOG(INFO) << "receiving a snapshot as of entry " << raft::Describe(point.last) << " from member "
            << hooks_.describe(from);
  transfer_ = std::make_shared<Transfer>(Transfer{
      .from = from,
      .term = term,
      .point = point,
      .stage = std::make_shared<Stage>(Stage{.writer = hooks_.stage(point), .staged = nullptr}),
      .stream = stream,
      .began_at = clock_.Now()});
  stream->ReadNext();
}

void SnapshotReceiver::Resume(Stream* stream, uint64_t first_chunk) {
  // A leader that opens a new stream has given up the old one.
  EndStream(grpc::Status(grpc::StatusCode::ABORTED, "the peer opened another stream"));
  if (first_chunk != transfer_->next_chunk) {
    AnswerGoOnAt(stream, transfer_->next_chunk);
    return;
  }
  transfer_->stream = stream;
  if (!transfer_->working) {
    stream->ReadNext();
  }
}

void SnapshotReceiver::AnswerGoOnAt(Stream* stream, uint64_t chunk) {
  peer::v1::InstallSnapshotResponse response =
      Outcome(peer::v1::InstallSnapshotResponse::OUTCOME_GO_ON_AT);
  response.set_next_chunk(chunk);
  stream->Answer(response);
}

void SnapshotReceiver::OnFrame(Stream* stream, peer::v1::InstallSnapshotRequest frame) {
  if (transfer_ == nullptr || transfer_->stream != stream) {
    return;
  }
  switch (frame.kind_case()) {
    case peer::v1::InstallSnapshotRequest::kChunk:
      OnChunk(std::move(*frame.mutable_chunk()));
      return;
    case peer::v1::InstallSnapshotRequest::kChunksTotal:
      OnTotal(frame.chunks_total());
      return;
    case peer::v1::InstallSnapshotRequest::kOpening:
      FailContent(absl::InvalidArgumentError(
          "only the first frame of a snapshot's stream may be an opening"));
      return;
    case peer::v1::InstallSnapshotRequest::KIND_NOT_SET:
      break;
  }
  FailContent(absl::InvalidArgumentError("a frame of a snapshot is of no kind that is known"));
}

void SnapshotReceiver::OnMalformed(Stream* stream, const absl::Status& status) {
  if (transfer_ != nullptr && transfer_->stream == stream) {
    FailContent(status);
  }
}

void SnapshotReceiver::OnChunk(peer::v1::SnapshotChunk chunk) {
  auto taken = wire::FromProto(std::move(chunk));
  absl::Status status = taken.status();
  if (status.ok() && (transfer_->whole || taken->number != transfer_->next_chunk)) {
    status = absl::InvalidArgumentError(
        absl::StrCat("chunk ", taken->number, " of a snapshot came, ",
                     transfer_->whole ? "after the end at " : "next is ", transfer_->next_chunk));
  }
  if (!status.ok()) {
    FailContent(status);
    return;
  }
  hooks_.on_part_heard(transfer_->from, transfer_->term);
  const uint64_t bytes = taken->data.size();
  auto data = std::make_shared<const std::string>(std::move(taken->data));
  if (!Work([data](Stage* stage) { return stage->writer->Write(*data); },
            &SnapshotReceiver::OnChunkStaged)) {
    EndStream(Unavailable("too much waits for the disk"));
    return;
  }
  ++transfer_->next_chunk;
  transfer_->bytes += bytes;
}

void SnapshotReceiver::OnTotal(uint64_t total) {
  if (total != transfer_->next_chunk) {
    FailContent(absl::InvalidArgumentError(absl::StrCat(
        "a snapshot ends after ", transfer_->next_chunk, " chunks, and was to have ", total)));
    return;
  }
  if (transfer_->whole) {  // On another stream. Nothing more is wanted of this one.
    return;
  }
  const auto verify = [](Stage* stage) {
    auto staged = stage->writer->Finish();
    if (staged.ok()) {
      stage->staged = *std::move(staged);
    }
    return staged.status();
  };
  if (!Work(verify, &SnapshotReceiver::OnVerified)) {
    EndStream(Unavailable("too much waits for the disk"));
    return;
  }
  transfer_->whole = true;
}

bool SnapshotReceiver::Work(std::function<absl::Status(Stage* stage)> work,
                            void (SnapshotReceiver::*then)(const absl::Status&)) {
  transfer_->working =
      pool_.Submit(kv::DiskPool::Length::kLong,
                   [self = std::weak_ptr<SnapshotReceiver*>(self_),
                    transfer = std::weak_ptr<Transfer>(transfer_), stage = transfer_->stage,
                    work = std::move(work), then]() -> std::function<void()> {
                     const absl::Status status = work(stage.get());
                     return [self, transfer, then, status] {
                       const auto receiver = self.lock();
                       if (receiver != nullptr && !transfer.expired()) {
                         (*receiver)->transfer_->working = false;
                         ((*receiver)->*then)(status);
                       }
                     };
                   });
  return transfer_->working;
}

void SnapshotReceiver::OnChunkStaged(const absl::Status& status) {
  if (!status.ok()) {
    FailStage(status);
  } else if (transfer_->stream != nullptr) {
    transfer_->stream->ReadNext();
  }
}

void SnapshotReceiver::OnVerified(const absl::Status& status) {
  if (!status.ok()) {
    FailStage(status);
    return;
  }
  transfer_->installing = true;
  hooks_.install(transfer_->term, std::exchange(transfer_->stage->staged, nullptr),
                 [self = std::weak_ptr<SnapshotReceiver*>(self_),
                  transfer = std::weak_ptr<Transfer>(transfer_)](const absl::Status& installed) {
                   const auto receiver = self.lock();
                   if (receiver != nullptr && !transfer.expired()) {
                     (*receiver)->OnInstalled(installed);
                   }
                 });
}

void SnapshotReceiver::OnInstalled(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) {
    FailContent(status);
    return;
  }
  if (!status.ok() && !absl::IsAlreadyExists(status)) {
    Fail(ToPeerStatus(status));
    return;
  }
  LOG(INFO) << (status.ok() ? "installed the snapshot as of entry "
                            : "went past the snapshot as of entry ")
            << raft::Describe(transfer_->point.last) << " of member "
            << hooks_.describe(transfer_->from) << ": " << transfer_->bytes << " bytes in "
            << static_cast<double>(clock_.Now() - transfer_->began_at) / kNanosPerSecond << " s";
  if (Stream* const stream = std::exchange(transfer_->stream, nullptr); stream != nullptr) {
    stream->Answer(Outcome(status.ok() ? peer::v1::InstallSnapshotResponse::OUTCOME_INSTALLED
                                       : peer::v1::InstallSnapshotResponse::OUTCOME_HAVE));
  }
  Drop();
}

void SnapshotReceiver::OnBroken(Stream* stream) {
  if (transfer_ != nullptr && transfer_->stream == stream) {
    transfer_->stream = nullptr;
    transfer_->broken_at = clock_.Now();
  }
}

void SnapshotReceiver::EndStream(const grpc::Status& status) {
  if (Stream* const stream = std::exchange(transfer_->stream, nullptr); stream != nullptr) {
    transfer_->broken_at = clock_.Now();
    stream->Refuse(status);
  }
}

void SnapshotReceiver::FailContent(const absl::Status& status) {
  Fail(hooks_.refuse_content(transfer_->from, status));
}

void SnapshotReceiver::FailStage(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) {
    FailContent(status);
    return;
  }
  if (absl::IsResourceExhausted(status)) {
    disk_full_until_ = clock_.Now() + kSnapshotFullDiskSeconds * kNanosPerSecond;
  }
  Fail(ToPeerStatus(status));
}

void SnapshotReceiver::Fail(const grpc::Status& status) {
  LOG(WARNING) << "dropped the snapshot as of entry " << raft::Describe(transfer_->point.last)
               << " of member " << hooks_.describe(transfer_->from) << ", of which "
               << transfer_->bytes << " bytes had come: " << status.error_message();
  EndStream(status);
  Drop();
}

void SnapshotReceiver::Drop() {
  std::shared_ptr<Stage> stage = std::move(transfer_->stage);
  transfer_.reset();
  ++ending_;
  const bool submitted =
      pool_.Submit(kv::DiskPool::Length::kLong,
                   [self = std::weak_ptr<SnapshotReceiver*>(self_),
                    stage = std::move(stage)]() -> std::function<void()> {
                     stage->writer.reset();
                     stage->staged.reset();
                     return [self] {
                       if (const auto receiver = self.lock(); receiver != nullptr) {
                         --(*receiver)->ending_;
                       }
                     };
                   });
  if (!submitted) {  // It has ended here.
    --ending_;
  }
}

void SnapshotReceiver::Tick() {
  if (transfer_ == nullptr || transfer_->stream != nullptr || transfer_->whole ||
      clock_.Now() - transfer_->broken_at < kSnapshotKeptSeconds * kNanosPerSecond) {
    return;
  }
  Fail(Unavailable(absl::StrCat("nothing came for ", kSnapshotKeptSeconds, " s")));
}

void SnapshotReceiver::Shutdown() {
  shut_down_ = true;
  if (transfer_ != nullptr) {
    EndStream(Unavailable("the member is stopping"));
    Drop();
  }
}

}  // namespace raftkv::server
