// SnapshotCall is a leader's stream of one snapshot to a follower (snapshot_sender.h).
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>

#include "raftkv/peer/v1/raft.pb.h"
#include "server/loop/operation.h"
#include "server/peer/snapshot_sender.h"

namespace raftkv::server {

// Deletes itself after its end, or once it was abandoned. Confined to the loop.
class SnapshotCall final : public SnapshotSender::Stream, public OperatedCall {
 public:
  // Writes the opening at once.
  SnapshotCall(grpc::GenericStub* stub, grpc::CompletionQueue* queue,
               SnapshotSender::StreamOwner* owner, const peer::v1::InstallSnapshotRequest& opening);

  void Write(const peer::v1::InstallSnapshotRequest& frame) override;
  void Abandon() override;

 private:
  ~SnapshotCall() override = default;

  void OnStart(bool ok);
  void OnWrite(bool ok);
  void OnRead(bool ok);
  void OnFinish(bool ok);
  // Once.
  void Finish();
  bool IsOver() const override { return finished_; }

  Operation<SnapshotCall> start_{this, &SnapshotCall::OnStart};
  Operation<SnapshotCall> write_{this, &SnapshotCall::OnWrite};
  Operation<SnapshotCall> read_{this, &SnapshotCall::OnRead};
  Operation<SnapshotCall> finish_{this, &SnapshotCall::OnFinish};
  SnapshotSender::StreamOwner* owner_;  // Null once it is to hear nothing more.
  grpc::ByteBuffer opening_;
  grpc::ByteBuffer answer_;
  peer::v1::InstallSnapshotResponse response_;
  bool malformed_ = false;
  grpc::Status status_;
  bool finishing_ = false;
  bool finished_ = false;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

}  // namespace raftkv::server
