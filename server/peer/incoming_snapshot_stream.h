// IncomingSnapshotStream is a follower's end of a leader's stream of one snapshot
// (snapshot_receiver.h).
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <functional>

#include "raftkv/peer/v1/raft.pb.h"
#include "server/loop/event_loop.h"
#include "server/peer/snapshot_receiver.h"

namespace raftkv::server {

// Announces itself and its successor, and deletes itself after its end. Confined to the loop.
class IncomingSnapshotStream final : public SnapshotReceiver::Stream {
 public:
  using Reader = grpc::ServerAsyncReader<grpc::ByteBuffer, grpc::ByteBuffer>;
  // What all such streams have in common; outlives them.
  struct Service {
    std::function<void(grpc::ServerContext*, Reader*, EventTag*)> announce;
    // Whether whoever sent this first frame, by `call`, may open a stream.
    std::function<grpc::Status(const grpc::ServerContext& call,
                               const peer::v1::InstallSnapshotRequest& frame)>
        check_opening;
    SnapshotReceiver* receiver = nullptr;
  };

  static void AnnounceNext(const Service* service) { new IncomingSnapshotStream(service); }

  void ReadNext() override;
  void Answer(const peer::v1::InstallSnapshotResponse& response) override;
  void Refuse(const grpc::Status& status) override;

 private:
  // An operation's tag: calls one member function.
  class Operation final : public EventTag {
   public:
    Operation(IncomingSnapshotStream* stream, void (IncomingSnapshotStream::*on_event)(bool))
        : stream_(stream), on_event_(on_event) {}
    void OnEvent(bool ok) override {
      IncomingSnapshotStream* const stream = stream_;
      --stream->pending_;
      (stream->*on_event_)(ok);
      stream->MaybeDelete();
    }

   private:
    IncomingSnapshotStream* const stream_;
    void (IncomingSnapshotStream::*const on_event_)(bool);
  };

  explicit IncomingSnapshotStream(const Service* service);
  ~IncomingSnapshotStream() = default;

  EventTag* Begin(Operation* operation);
  void OnStart(bool ok);
  void OnRead(bool ok);
  void OnOpening(const peer::v1::InstallSnapshotRequest& frame);
  void OnFinish(bool ok);
  void MaybeDelete();

  const Service& service_;
  Operation start_{this, &IncomingSnapshotStream::OnStart};
  Operation read_{this, &IncomingSnapshotStream::OnRead};
  Operation finish_{this, &IncomingSnapshotStream::OnFinish};
  grpc::ByteBuffer frame_;
  bool opened_ = false;
  bool ended_ = false;
  bool finished_ = false;
  int pending_ = 0;
  grpc::ServerContext context_;
  Reader reader_;
};

}  // namespace raftkv::server
