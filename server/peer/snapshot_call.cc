#include "server/peer/snapshot_call.h"

#include <utility>

#include "server/loop/message_bytes.h"

namespace raftkv::server {
namespace {

constexpr char kInstallSnapshot[] = "/raftkv.peer.v1.RaftService/InstallSnapshot";

}  // namespace

SnapshotCall::SnapshotCall(grpc::GenericStub* stub, grpc::CompletionQueue* queue,
                           SnapshotSender::StreamOwner* owner,
                           const peer::v1::InstallSnapshotRequest& opening)
    : owner_(owner),
      opening_(SerializeMessage(opening)),
      stream_(stub->PrepareCall(&context_, kInstallSnapshot, queue)) {
  stream_->StartCall(start_.Begin());
}

void SnapshotCall::Write(const peer::v1::InstallSnapshotRequest& frame) {
  stream_->Write(SerializeMessage(frame), write_.Begin());
}

void SnapshotCall::Abandon() {
  owner_ = nullptr;
  context_.TryCancel();
  // Now: when the process ends, the queue may take nothing new by the time of the next event.
  Finish();
}

void SnapshotCall::OnStart(bool ok) {
  if (!ok) {
    Finish();
  }
  if (finishing_) {
    return;
  }
  stream_->Read(&answer_, read_.Begin());
  stream_->Write(opening_, write_.Begin());
}

void SnapshotCall::OnWrite(bool ok) {
  // Why it is not ok is known at the end of the call.
  if (ok && owner_ != nullptr) {
    owner_->OnWritten();
  }
}

void SnapshotCall::OnRead(bool ok) {
  // Of a call that was abandoned nobody wants to know.
  malformed_ = ok && owner_ != nullptr && !ParseMessage(&answer_, &response_);
  Finish();
}

void SnapshotCall::Finish() {
  if (!finishing_) {
    finishing_ = true;
    stream_->Finish(&status_, finish_.Begin());
  }
}

void SnapshotCall::OnFinish(bool /*ok*/) {
  finished_ = true;
  SnapshotSender::StreamOwner* const owner = std::exchange(owner_, nullptr);
  if (owner == nullptr) {
    return;
  }
  if (status_.ok() && malformed_) {
    status_ = grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                           "the answer is not a raftkv.peer.v1.InstallSnapshotResponse");
  }
  owner->OnEnded(status_, response_);
}

}  // namespace raftkv::server
