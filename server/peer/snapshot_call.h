// SnapshotCall is a leader's stream of one snapshot to a follower (snapshot_sender.h).
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>

#include "raftkv/peer/v1/raft.pb.h"
#include "server/loop/event_loop.h"
#include "server/peer/snapshot_sender.h"

namespace raftkv::server {

// Deletes itself after its end, or once it was abandoned. Confined to the loop.
class SnapshotCall final : public SnapshotSender::Stream {
 public:
  // Writes the opening at once.
  SnapshotCall(grpc::GenericStub* stub, grpc::CompletionQueue* queue,
               SnapshotSender::StreamOwner* owner, const peer::v1::InstallSnapshotRequest& opening);

  void Write(const peer::v1::InstallSnapshotRequest& frame) override;
  void Abandon() override;

 private:
  // An operation's tag: calls one member function.
  class Operation final : public EventTag {
   public:
    Operation(SnapshotCall* call, void (SnapshotCall::*on_event)(bool))
        : call_(call), on_event_(on_event) {}
    void OnEvent(bool ok) override {
      SnapshotCall* const call = call_;
      --call->pending_;
      (call->*on_event_)(ok);
      call->MaybeDelete();
    }

   private:
    SnapshotCall* const call_;
    void (SnapshotCall::*const on_event_)(bool);
  };

  ~SnapshotCall() = default;

  EventTag* Begin(Operation* operation);
  void OnStart(bool ok);
  void OnWrite(bool ok);
  void OnRead(bool ok);
  void OnFinish(bool ok);
  // Once.
  void Finish();
  void MaybeDelete();

  Operation start_{this, &SnapshotCall::OnStart};
  Operation write_{this, &SnapshotCall::OnWrite};
  Operation read_{this, &SnapshotCall::OnRead};
  Operation finish_{this, &SnapshotCall::OnFinish};
  SnapshotSender::StreamOwner* owner_;  // Null once it is to hear nothing more.
  grpc::ByteBuffer opening_;
  grpc::ByteBuffer answer_;
  peer::v1::InstallSnapshotResponse response_;
  bool malformed_ = false;
  grpc::Status status_;
  int pending_ = 0;
  bool finishing_ = false;
  bool finished_ = false;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

}  // namespace raftkv::server
