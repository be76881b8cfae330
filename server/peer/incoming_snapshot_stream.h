// IncomingSnapshotStream is a follower's end of a leader's stream of one snapshot
// (snapshot_receiver.h).
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <functional>

#include "raftkv/peer/v1/raft.pb.h"
#include "server/loop/operation.h"
#include "server/peer/snapshot_receiver.h"

namespace raftkv::server {

// Announces itself and its successor, and deletes itself after its end. Confined to the loop.
class IncomingSnapshotStream final : public SnapshotReceiver::Stream, public OperatedCall {
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
  explicit IncomingSnapshotStream(const Service* service);
  ~IncomingSnapshotStream() override = default;

  void OnStart(bool ok);
  void OnRead(bool ok);
  void OnOpening(const peer::v1::InstallSnapshotRequest& frame);
  void OnFinish(bool ok);
  bool IsOver() const override { return finished_; }

  const Service& service_;
  Operation<IncomingSnapshotStream> start_{this, &IncomingSnapshotStream::OnStart};
  Operation<IncomingSnapshotStream> read_{this, &IncomingSnapshotStream::OnRead};
  Operation<IncomingSnapshotStream> finish_{this, &IncomingSnapshotStream::OnFinish};
  grpc::ByteBuffer frame_;
  bool opened_ = false;
  bool ended_ = false;
  bool finished_ = false;
  grpc::ServerContext context_;
  Reader reader_;
};

}  // namespace raftkv::server
