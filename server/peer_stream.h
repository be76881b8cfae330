// PeerStream is one end of a bidirectional stream of frames between members: it reads frame after
// frame, and gathers what is to be sent into few, large frames while one is being written.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "server/event_loop.h"
#include "server/limits.h"
#include "server/message_bytes.h"

namespace raftkv::server {

// Confined to the loop. Deletes itself once it has ended and its last operation is over; `on_end`
// tells its owner to let go of it before that.
template <typename In, typename Out>
class PeerStream {
 public:
  struct Handlers {
    // A frame arrived. A status other than OK ends the stream with it.
    std::function<grpc::Status(In frame)> on_frame;
    // A frame arrived that is none; returns what to end with. Null: `status`.
    std::function<grpc::Status(const grpc::Status& status)> on_malformed;
    // The stream can be written to: the other end is connected.
    std::function<void()> on_open;
    // No frame will be taken or delivered any more. Called at most once, and not by Abandon.
    std::function<void()> on_end;
    // How the stream ended, for people; may come after on_end, or never.
    std::function<void(const grpc::Status& status)> on_status;
  };

  PeerStream(const PeerStream&) = delete;
  PeerStream& operator=(const PeerStream&) = delete;

  bool open() const { return open_; }
  // Of the frames that wait to be written.
  uint64_t queued_bytes() const { return queued_bytes_; }
  // The frame that gathers now; null when the next message needs a new one.
  Out* gathering() {
    const bool full = gathered_messages_ >= kPeerFrameMessagesMax ||
                      (!queue_.empty() && queue_.back().bytes >= kPeerFrameBytesMax);
    return queue_.empty() || full ? nullptr : &queue_.back().frame;
  }
  Out* AddFrame() {
    gathered_messages_ = 0;
    return &queue_.emplace_back().frame;
  }
  // Sends what has gathered, unless a frame is still being written; called after each message,
  // `bytes` is its size. A stream that has more than kPeerQueueBytesMax waiting ends: its other end
  // does not take it.
  void Flush(uint64_t bytes) {
    queue_.back().bytes += bytes;
    queued_bytes_ += bytes;
    ++gathered_messages_;
    if (queued_bytes_ > kPeerQueueBytesMax) {
      End(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the peer does not take its frames"));
      return;
    }
    MaybeWrite();
  }
  // Ends the stream; the other end sees `status` when this is the server's end.
  void End(const grpc::Status& status) { End(status, Side::kThis); }
  // Ends the stream without telling its owner.
  void Abandon(const grpc::Status& status) {
    handlers_ = Handlers{};
    End(status);
  }

 protected:
  // An operation's tag: calls one member function.
  class Operation final : public EventTag {
   public:
    Operation(PeerStream* stream, void (PeerStream::*on_event)(bool))
        : stream_(stream), on_event_(on_event) {}
    void OnEvent(bool ok) override {
      PeerStream* const stream = stream_;
      --stream->pending_;
      (stream->*on_event_)(ok);
      stream->MaybeDelete();
    }

   private:
    PeerStream* const stream_;
    void (PeerStream::*const on_event_)(bool);
  };

  explicit PeerStream(Handlers handlers) : handlers_(std::move(handlers)) {}
  virtual ~PeerStream() = default;

  virtual void StartRead(grpc::ByteBuffer* frame, EventTag* tag) = 0;
  virtual void StartWrite(const grpc::ByteBuffer& frame, EventTag* tag) = 0;
  // Who ended the stream.
  enum class Side { kThis, kOther };

  // Begins the end: cancels what is under way, where needed, and calls Finish when that is allowed.
  virtual void StartEnd(Side by, bool write_pending) = 0;

  void End(const grpc::Status& status, Side by) {
    if (ended_) {
      return;
    }
    ended_ = true;
    open_ = false;
    status_ = status;
    queue_.clear();
    queued_bytes_ = 0;
    StartEnd(by, /*write_pending=*/writing_);
    if (auto on_end = std::move(handlers_.on_end); on_end) {
      on_end();
    }
  }

  // REQUIRES: the other end can be written to.
  void Opened() {
    open_ = true;
    Begin(&read_);
    StartRead(&incoming_, &read_);
    if (handlers_.on_open) {
      handlers_.on_open();
    }
    MaybeWrite();
  }
  EventTag* Begin(Operation* operation) {
    ++pending_;
    return operation;
  }
  void Finished(const grpc::Status& status) {
    finished_ = true;
    if (handlers_.on_status) {
      handlers_.on_status(status);
    }
  }

  void SetHandlers(Handlers handlers) { handlers_ = std::move(handlers); }
  // Ends a stream that never began: it is deleted after the current event.
  void Dissolve() { ended_ = finished_ = true; }

  const grpc::Status& status() const { return status_; }
  bool ended() const { return ended_; }
  // Called when the write that held up the end is over.
  virtual void OnWriteOverAfterEnd() {}

 private:
  struct QueuedFrame {
    Out frame;
    uint64_t bytes = 0;
  };

  void OnRead(bool ok) {
    if (ended_) {
      return;
    }
    if (!ok) {
      End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the peer ended the stream"), Side::kOther);
      return;
    }
    In frame;
    grpc::Status taken;
    if (ParseMessage(&incoming_, &frame)) {
      taken = handlers_.on_frame(std::move(frame));
    } else {
      taken = grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                           "a frame is not a " + In::descriptor()->full_name());
      if (handlers_.on_malformed) {
        taken = handlers_.on_malformed(taken);
      }
    }
    if (!taken.ok()) {
      End(taken);
    }
    if (!ended_) {
      Begin(&read_);
      StartRead(&incoming_, &read_);
    }
  }

  void MaybeWrite() {
    if (!open_ || writing_ || queue_.empty()) {
      return;
    }
    writing_ = true;
    const grpc::ByteBuffer bytes = SerializeMessage(queue_.front().frame);
    queued_bytes_ -= queue_.front().bytes;
    queue_.pop_front();
    Begin(&write_);
    StartWrite(bytes, &write_);
  }

  void OnWrite(bool ok) {
    writing_ = false;
    if (ended_) {
      OnWriteOverAfterEnd();
    } else if (!ok) {
      End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the peer is gone"), Side::kOther);
    } else {
      MaybeWrite();
    }
  }

  void MaybeDelete() {
    if (pending_ == 0 && ended_ && finished_) {
      delete this;
    }
  }

  Handlers handlers_;
  Operation read_{this, &PeerStream::OnRead};
  Operation write_{this, &PeerStream::OnWrite};
  grpc::ByteBuffer incoming_;
  std::deque<QueuedFrame> queue_;
  uint64_t queued_bytes_ = 0;       // Invariant: the sum of queue_'s bytes.
  uint64_t gathered_messages_ = 0;  // Of the last frame in the queue.
  int pending_ = 0;
  bool open_ = false;
  bool writing_ = false;
  bool ended_ = false;
  bool finished_ = false;
  grpc::Status status_;
};

// The end that opens the stream.
template <typename In, typename Out>
class OutgoingPeerStream final : public PeerStream<In, Out> {
 public:
  using Base = PeerStream<In, Out>;

  // `method` is the full name, "/package.Service/Method".
  OutgoingPeerStream(grpc::GenericStub* stub, const std::string& method,
                     grpc::CompletionQueue* queue, typename Base::Handlers handlers)
      : Base(std::move(handlers)), stream_(stub->PrepareCall(&context_, method, queue)) {
    this->Begin(&start_);
    stream_->StartCall(&start_);
  }

 private:
  void StartRead(grpc::ByteBuffer* frame, EventTag* tag) override { stream_->Read(frame, tag); }
  void StartWrite(const grpc::ByteBuffer& frame, EventTag* tag) override {
    stream_->Write(frame, tag);
  }
  void StartEnd(typename Base::Side by, bool /*write_pending*/) override {
    // A call that is cancelled no longer tells why the other end ended it.
    if (by == Base::Side::kThis) {
      context_.TryCancel();
    }
    this->Begin(&finish_);
    stream_->Finish(&final_status_, &finish_);
  }

  void OnStart(bool ok) {
    if (this->ended()) {
      return;
    }
    if (ok) {
      this->Opened();
    } else {
      this->End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "cannot connect"), Base::Side::kOther);
    }
  }
  void OnFinish(bool /*ok*/) {
    const bool cancelled = final_status_.error_code() == grpc::StatusCode::CANCELLED;
    this->Finished(cancelled ? this->status() : final_status_);
  }

  typename Base::Operation start_{this,
                                  static_cast<void (Base::*)(bool)>(&OutgoingPeerStream::OnStart)};
  typename Base::Operation finish_{
      this, static_cast<void (Base::*)(bool)>(&OutgoingPeerStream::OnFinish)};
  grpc::ClientContext context_;
  grpc::Status final_status_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

// The end that was called. It announces itself and its successor.
template <typename In, typename Out>
class IncomingPeerStream final : public PeerStream<In, Out> {
 public:
  using Base = PeerStream<In, Out>;
  using Stream = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;
  using Announce = std::function<void(grpc::ServerContext*, Stream*, EventTag*)>;
  // Makes the handlers of a stream that was called; nothing may be written before its first frame.
  using Accept = std::function<typename Base::Handlers(IncomingPeerStream* stream)>;

  // `announce` and `accept` outlive every stream.
  static void AnnounceNext(const Announce* announce, const Accept* accept) {
    new IncomingPeerStream(announce, accept);
  }

 private:
  IncomingPeerStream(const Announce* announce, const Accept* accept)
      : Base({}), announce_(announce), accept_(accept), stream_(&context_) {
    (*announce_)(&context_, &stream_, this->Begin(&start_));
  }

  void StartRead(grpc::ByteBuffer* frame, EventTag* tag) override { stream_.Read(frame, tag); }
  void StartWrite(const grpc::ByteBuffer& frame, EventTag* tag) override {
    stream_.Write(frame, tag);
  }
  void StartEnd(typename Base::Side /*by*/, bool write_pending) override {
    if (write_pending) {
      context_.TryCancel();
    } else {
      OnWriteOverAfterEnd();
    }
  }
  void OnWriteOverAfterEnd() override { stream_.Finish(this->status(), this->Begin(&finish_)); }

  void OnStart(bool ok) {
    if (!ok) {  // The server is shutting down; gRPC knows nothing of this stream.
      this->Dissolve();
      return;
    }
    AnnounceNext(announce_, accept_);
    this->SetHandlers((*accept_)(this));
    this->Opened();
  }
  void OnFinish(bool /*ok*/) { this->Finished(this->status()); }

  const Announce* const announce_;
  const Accept* const accept_;
  typename Base::Operation start_{this,
                                  static_cast<void (Base::*)(bool)>(&IncomingPeerStream::OnStart)};
  typename Base::Operation finish_{
      this, static_cast<void (Base::*)(bool)>(&IncomingPeerStream::OnFinish)};
  grpc::ServerContext context_;
  Stream stream_;
};

}  // namespace raftkv::server
