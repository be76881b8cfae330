#include "server/peer/incoming_snapshot_stream.h"

#include <utility>

#include "server/loop/message_bytes.h"

namespace raftkv::server {

IncomingSnapshotStream::IncomingSnapshotStream(const Service* service)
    : service_(*service), reader_(&context_) {
  service_.announce(&context_, &reader_, start_.Begin());
}

void IncomingSnapshotStream::ReadNext() { reader_.Read(&frame_, read_.Begin()); }

void IncomingSnapshotStream::Answer(const peer::v1::InstallSnapshotResponse& response) {
  ended_ = true;
  reader_.Finish(SerializeMessage(response), grpc::Status::OK, finish_.Begin());
}

void IncomingSnapshotStream::Refuse(const grpc::Status& status) {
  ended_ = true;
  reader_.FinishWithError(status, finish_.Begin());
}

void IncomingSnapshotStream::OnStart(bool ok) {
  if (!ok) {  // The server is shutting down; gRPC knows nothing of this stream.
    finished_ = true;
    return;
  }
  AnnounceNext(&service_);
  ReadNext();
}

void IncomingSnapshotStream::OnRead(bool ok) {
  if (ended_) {
    return;
  }
  if (!ok) {
    if (opened_) {
      service_.receiver->OnBroken(this);
    }
    Refuse(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the peer ended the stream"));
    return;
  }
  peer::v1::InstallSnapshotRequest frame;
  const bool parsed = ParseMessage(&frame_, &frame);
  if (!opened_) {
    OnOpening(parsed ? frame : peer::v1::InstallSnapshotRequest());
  } else if (parsed) {
    service_.receiver->OnFrame(this, std::move(frame));
  } else {
    service_.receiver->OnMalformed(
        this, absl::InvalidArgumentError("a frame is not a raftkv.peer.v1.InstallSnapshotRequest"));
  }
}

void IncomingSnapshotStream::OnOpening(const peer::v1::InstallSnapshotRequest& frame) {
  if (const grpc::Status status = service_.check_opening(context_, frame); !status.ok()) {
    Refuse(status);
    return;
  }
  opened_ = true;
  service_.receiver->OnOpening(this, raft::NodeId(frame.opening().identity().sender_id()),
                               frame.opening());
}

void IncomingSnapshotStream::OnFinish(bool /*ok*/) { finished_ = true; }

}  // namespace raftkv::server
