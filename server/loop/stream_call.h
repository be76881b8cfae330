// StreamCall is one call of a method that sends or gets more than one message: what all such calls
// have to do with gRPC, whatever they are about.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <optional>

#include "absl/status/status.h"
#include "base/clock.h"
#include "server/loop/event_loop.h"
#include "server/loop/unary_call.h"
#include "server/loop/unary_service.h"
#include "server/loop/unfinished_requests.h"

namespace raftkv::server {

// Made, it is announced to gRPC. Deletes itself when nothing comes back to it any more: no
// operation of gRPC's, no notice that the call is done, and nothing that a derived class awaits.
// Confined to the loop.
class StreamCall : private UnfinishedRequests::Request {
 public:
  // What the calls of one method share; outlives them.
  struct Method {
    UnaryService* service = nullptr;
    int number = 0;
    grpc::ServerCompletionQueue* queue = nullptr;
    CallAccounting* accounting = nullptr;
  };

  StreamCall(const StreamCall&) = delete;
  StreamCall& operator=(const StreamCall&) = delete;

 protected:
  explicit StreamCall(const Method& method);
  ~StreamCall() override;

  // Somebody calls: makes the next call of the method, and begins this one.
  virtual void OnBegun() = 0;
  // The message that was asked for is in `message`. !ok: there is none, since the client has sent
  // all, is gone, or the call is over.
  virtual void OnRead(bool ok, grpc::ByteBuffer* message) = 0;
  // gRPC has taken what was written. !ok: the client takes nothing more.
  virtual void OnWritten(bool ok) = 0;
  // The client is gone, or has cancelled, before the call was finished.
  virtual void OnGone() = 0;
  // The last operation of a call that was finished has ended; ok: as it was meant to.
  virtual void OnFinished(bool /*ok*/) {}
  // Whether something else, such as the store, still has to come back to it.
  virtual bool IsAwaited() const { return false; }

  CallAccounting& calls() const { return *method_.accounting; }
  const Method& method() const { return method_; }
  grpc::ServerContext& context() { return context_; }
  // When the client stops waiting; kNever: it did not say.
  MonotonicNanos deadline() const { return deadline_; }

  // Between its beginning and Finish.
  bool is_open() const { return begun_ && !finishing_begun_; }
  bool is_gone() const { return gone_; }
  bool reading() const { return read_.pending(); }
  bool writing() const { return write_.pending(); }

  // Asks for the next message; with `whole_soon`, the call is given up when it does not come as
  // UnfinishedRequests wants it. REQUIRES: open, and not reading.
  void Read(bool whole_soon);
  // REQUIRES of all that follow: open, and not writing.
  void Write(const grpc::ByteBuffer& message, grpc::WriteOptions options = {});
  void WriteAndFinish(const grpc::ByteBuffer& message);
  void Finish(const grpc::Status& status);
  // With what clients' libraries read of it.
  void Fail(const absl::Status& error);
  // Ends what gRPC still has of it, soon.
  void Cancel() { context_.TryCancel(); }

  // To be called last by whatever else comes back to it.
  void DeleteIfOver();

 private:
  // An operation of gRPC's, and what is to be done at its end.
  class Tag final : public EventTag {
   public:
    Tag(StreamCall* call, void (StreamCall::*on_event)(bool ok))
        : call_(call), on_event_(on_event) {}
    // REQUIRES: it is not under way.
    EventTag* Begin();
    bool pending() const { return pending_; }
    void OnEvent(bool ok) override;
    void OnLeftOver(bool ok) override;

   private:
    StreamCall* const call_;
    void (StreamCall::*const on_event_)(bool ok);
    bool pending_ = false;
  };

  void HandleAnnounced(bool ok);
  void HandleRead(bool ok);
  void HandleWritten(bool ok);
  void HandleFinished(bool ok);
  void HandleDone(bool ok);
  void GiveUp() override;

  const Method& method_;
  grpc::ServerContext context_;
  grpc::ByteBuffer message_;
  UnaryService::Stream stream_;
  Tag announce_{this, &StreamCall::HandleAnnounced};
  Tag read_{this, &StreamCall::HandleRead};
  Tag write_{this, &StreamCall::HandleWritten};
  Tag finish_{this, &StreamCall::HandleFinished};
  // Pending since the call began.
  Tag done_{this, &StreamCall::HandleDone};
  std::optional<UnfinishedRequests::Ticket> unfinished_;
  MonotonicNanos deadline_ = 0;
  bool begun_ = false;
  bool finishing_begun_ = false;
  bool gone_ = false;
  // The loop has ended, and nothing but gRPC comes back.
  bool left_over_ = false;
};

}  // namespace raftkv::server
