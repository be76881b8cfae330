// PeerStream is one end of a bidirectional stream of frames between members: it reads frame after
// frame, and gathers small messages into few frames while one is being written.
//
// A large message is bulk. It goes in parts, only as many at a time as the link carries quickly
// (bulk_window.h), and urgent frames go between them: a sign of life never waits for a value.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "server/limits.h"
#include "server/loop/event_loop.h"
#include "server/loop/message_bytes.h"
#include "server/loop/operation.h"
#include "server/peer/bulk_window.h"
#include "server/peer/peer_figures.h"

namespace raftkv::server {

// Confined to the loop. Deletes itself once it has ended and its last operation is over; `on_end`
// tells its owner to let go of it before that.
template <typename In, typename Out>
class PeerStream : public OperatedCall {
 public:
  struct Handlers {
    // A frame arrived, whole. A status other than OK ends the stream with it.
    std::function<grpc::Status(In frame)> on_frame;
    // A frame arrived that is none; returns what to end with. Null: `status`.
    std::function<grpc::Status(const grpc::Status& status)> on_malformed;
    // A part of a frame of this term arrived; null: nobody cares.
    std::function<void(uint64_t term)> on_part;
    // The other end has received more of what was sent in parts; null: nobody cares.
    std::function<void()> on_part_taken;
    // The stream can be written to: the other end is connected.
    std::function<void()> on_open;
    // No frame will be taken or delivered any more. Called at most once, and not by Abandon.
    std::function<void()> on_end;
    // How the stream ended, for people; may come after on_end, or never.
    std::function<void(const grpc::Status& status)> on_status;
  };

  bool open() const { return open_; }
  // Of what waits to be written.
  uint64_t queued_bytes() const { return queued_bytes_; }

  enum class Order {
    kInTurn,  // After everything that was given before it.
    kUrgent,  // Before bulk, unless it is bulk itself; order means nothing to it.
  };
  // The frame that the next message, of so many bytes, is to be put into: the last one, when
  // `joins` says so and it has room, or a new one. Flush follows.
  template <typename Joins>
  Out* Gather(Order order, uint64_t bytes, Joins joins) {
    const bool overtakes = order == Order::kUrgent && bytes <= kPeerFrameBytesMax && BulkWaits();
    std::deque<QueuedFrame>& frames = overtakes ? urgent_ : in_turn_;
    if (frames.empty() || frames.back().messages >= kPeerFrameMessagesMax ||
        frames.back().bytes + bytes > kPeerFrameBytesMax || !joins(frames.back().frame)) {
      frames.emplace_back();
    }
    frames.back().bytes += bytes;
    ++frames.back().messages;
    queued_bytes_ += bytes;
    return &frames.back().frame;
  }
  // Sends what has gathered, unless a frame is still being written. A stream that has more than
  // kPeerQueueBytesMax waiting ends: its other end does not take it.
  void Flush() {
    if (queued_bytes_ > kPeerQueueBytesMax) {
      End(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the peer does not take its frames"));
      return;
    }
    MaybeWrite();
  }
  // From now on counts what it sends and receives there; the counts outlive it.
  void CountIn(PeerTraffic* traffic) { traffic_ = traffic; }
  // Ends the stream; the other end sees `status` when this is the server's end.
  void End(const grpc::Status& status) { End(status, Side::kThis); }
  // Ends the stream without telling its owner.
  void Abandon(const grpc::Status& status) {
    handlers_ = Handlers{};
    End(status);
  }

 protected:
  // Whether the other end may send parts at once, or only once a whole frame of it was accepted:
  // those of a stranger would be gathered without bound, one frame a stream.
  enum class Trust { kAtOnce, kAfterFirstFrame };

  PeerStream(Handlers handlers, const BulkWindow& window, Trust trust)
      : handlers_(std::move(handlers)), window_(window), trusted_(trust == Trust::kAtOnce) {}
  ~PeerStream() override = default;

  virtual void StartRead(grpc::ByteBuffer* frame, EventTag* tag) = 0;
  virtual void StartWrite(const grpc::ByteBuffer& frame, EventTag* tag) = 0;
  // Who ended the stream. kThisSaysWhy: the other end is to hear the reason, so what is being
  // written to it is not cut off.
  enum class Side { kThis, kThisSaysWhy, kOther };

  // Begins the end: cancels what is under way, where needed, and calls Finish when that is allowed.
  virtual void StartEnd(Side by, bool write_pending) = 0;

  void End(const grpc::Status& status, Side by) {
    if (ended_) {
      return;
    }
    ended_ = true;
    open_ = false;
    status_ = status;
    in_turn_.clear();
    urgent_.clear();
    bulk_.clear();
    queued_bytes_ = 0;
    StartEnd(by, /*write_pending=*/writing_);
    if (auto on_end = std::move(handlers_.on_end); on_end) {
      on_end();
    }
  }

  // Makes `opening` the first frame, with nothing else in it, so that its refusal loses nothing.
  // REQUIRES: nothing was gathered.
  void OpenWith(Out opening) {
    urgent_.push_back({.frame = std::move(opening), .bytes = 0, .messages = kPeerFrameMessagesMax});
  }
  // REQUIRES: the other end can be written to.
  void Opened() {
    open_ = true;
    StartRead(&incoming_, read_.Begin());
    if (handlers_.on_open) {
      handlers_.on_open();
    }
    MaybeWrite();
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
    uint64_t messages = 0;
  };

  void OnRead(bool ok) {
    if (ended_) {
      return;
    }
    if (!ok) {
      End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the peer ended the stream"), Side::kOther);
      return;
    }
    if (traffic_ != nullptr) {
      traffic_->received_bytes += incoming_.Length();
    }
    In frame;
    grpc::Status taken;
    if (ParseMessage(&incoming_, &frame)) {
      taken = OnFrame(std::move(frame));
    } else {
      taken = NotA(In::descriptor()->full_name());
    }
    if (!taken.ok()) {
      End(taken, Side::kThisSaysWhy);
    }
    if (!ended_) {
      StartRead(&incoming_, read_.Begin());
      MaybeWrite();
    }
  }

  grpc::Status OnFrame(In frame) {
    if (frame.received_part_bytes() > 0) {
      if (!window_.OnArrived(frame.received_part_bytes())) {
        return Malformed("a frame acknowledges parts that were not sent");
      }
      if (handlers_.on_part_taken) {
        handlers_.on_part_taken();
      }
      frame.clear_received_part_bytes();
      if (frame.ByteSizeLong() == 0) {
        return grpc::Status::OK;
      }
    }
    return frame.has_part() ? OnPart(frame) : OnWhole(std::move(frame));
  }

  grpc::Status OnWhole(In frame) {
    const grpc::Status taken = handlers_.on_frame(std::move(frame));
    trusted_ = trusted_ || taken.ok();
    return taken;
  }

  grpc::Status OnPart(const In& frame) {
    if (!trusted_) {
      return Malformed("a part of a frame comes before the opening of its stream");
    }
    const std::string& data = frame.part().data();
    if (data.empty() || assembled_.size() + data.size() > uint64_t{kPeerMessageBytesMax}) {
      return Malformed("a part of a frame is empty, or makes it larger than " +
                       std::to_string(kPeerMessageBytesMax) + " bytes");
    }
    assembled_ += data;
    received_part_bytes_ += data.size();
    if (handlers_.on_part) {
      handlers_.on_part(frame.term());
    }
    if (!frame.part().last()) {
      return grpc::Status::OK;
    }
    In whole;
    if (!whole.ParseFromString(std::exchange(assembled_, {}))) {
      return NotA(In::descriptor()->full_name());
    }
    return OnWhole(std::move(whole));
  }

  grpc::Status NotA(const std::string& type) { return Malformed("a frame is not a " + type); }
  grpc::Status Malformed(const std::string& what) {
    const grpc::Status status(grpc::StatusCode::INVALID_ARGUMENT, what);
    return handlers_.on_malformed ? handlers_.on_malformed(status) : status;
  }

  bool BulkWaits() const { return !bulk_.empty() || queued_bytes_ > kPeerFrameBytesMax; }

  void MaybeWrite() {
    if (!open_ || writing_) {
      return;
    }
    if (!urgent_.empty()) {
      return Write(TakeFront(&urgent_));
    }
    if (bulk_.empty() && !in_turn_.empty()) {
      const bool whole = in_turn_.front().bytes <= kPeerFrameBytesMax;
      Out frame = TakeFront(&in_turn_);
      if (whole) {
        return Write(std::move(frame));
      }
      bulk_ = frame.SerializeAsString();
      bulk_sent_ = 0;
      bulk_term_ = frame.term();
      queued_bytes_ += bulk_.size();
    }
    const uint64_t part = bulk_.empty() ? 0 : window_.NextPart(bulk_.size() - bulk_sent_);
    if (part > 0) {
      return Write(TakePart(part));
    }
    if (told_part_bytes_ < received_part_bytes_) {
      Write(Out());
    }
  }

  Out TakeFront(std::deque<QueuedFrame>* frames) {
    Out frame = std::move(frames->front().frame);
    queued_bytes_ -= frames->front().bytes;
    frames->pop_front();
    return frame;
  }

  Out TakePart(uint64_t bytes) {
    Out frame;
    frame.set_term(bulk_term_);
    frame.mutable_part()->set_data(bulk_.data() + bulk_sent_, bytes);
    bulk_sent_ += bytes;
    queued_bytes_ -= bytes;
    window_.OnSent(bytes);
    if (bulk_sent_ == bulk_.size()) {
      frame.mutable_part()->set_last(true);
      bulk_ = std::string();
    }
    return frame;
  }

  void Write(Out frame) {
    if (told_part_bytes_ < received_part_bytes_) {
      told_part_bytes_ = received_part_bytes_;
      frame.set_received_part_bytes(received_part_bytes_);
    }
    const grpc::ByteBuffer bytes = SerializeMessage(frame);
    if (traffic_ != nullptr) {
      traffic_->sent_bytes += bytes.Length();
    }
    writing_ = true;
    StartWrite(bytes, write_.Begin());
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

  bool IsOver() const final { return ended_ && finished_; }

  Handlers handlers_;
  PeerTraffic* traffic_ = nullptr;  // Null: nobody counts.
  Operation<PeerStream> read_{this, &PeerStream::OnRead};
  Operation<PeerStream> write_{this, &PeerStream::OnWrite};
  grpc::ByteBuffer incoming_;

  // What is to be written. Urgent frames come first, then the bulk, then the rest.
  std::deque<QueuedFrame> urgent_;
  std::deque<QueuedFrame> in_turn_;
  // A frame that goes in parts, and how much of it is gone; empty when there is none.
  std::string bulk_;
  uint64_t bulk_sent_ = 0;
  uint64_t bulk_term_ = 0;
  uint64_t queued_bytes_ = 0;  // Invariant: the sum over all three.
  BulkWindow window_;

  bool trusted_;  // With parts.
  // The frame whose parts come in, so far, and bytes of parts since the stream opened: received,
  // and acknowledged.
  std::string assembled_;
  uint64_t received_part_bytes_ = 0;
  uint64_t told_part_bytes_ = 0;

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
                     grpc::CompletionQueue* queue, const BulkWindow& window, Out opening,
                     typename Base::Handlers handlers)
      : Base(std::move(handlers), window, Base::Trust::kAtOnce),
        stream_(stub->PrepareCall(&context_, method, queue)) {
    this->OpenWith(std::move(opening));
    stream_->StartCall(start_.Begin());
  }

 private:
  void StartRead(grpc::ByteBuffer* frame, EventTag* tag) override { stream_->Read(frame, tag); }
  void StartWrite(const grpc::ByteBuffer& frame, EventTag* tag) override {
    stream_->Write(frame, tag);
  }
  void StartEnd(typename Base::Side by, bool /*write_pending*/) override {
    // A call that is cancelled no longer tells why the other end ended it.
    if (by != Base::Side::kOther) {
      context_.TryCancel();
    }
    stream_->Finish(&final_status_, finish_.Begin());
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

  Operation<OutgoingPeerStream> start_{this, &OutgoingPeerStream::OnStart};
  Operation<OutgoingPeerStream> finish_{this, &OutgoingPeerStream::OnFinish};
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
  static void AnnounceNext(const Announce* announce, const Accept* accept,
                           const BulkWindow& window) {
    new IncomingPeerStream(announce, accept, window);
  }

  // Who called.
  const grpc::ServerContext& call() const { return context_; }

 private:
  IncomingPeerStream(const Announce* announce, const Accept* accept, const BulkWindow& window)
      : Base({}, window, Base::Trust::kAfterFirstFrame),
        announce_(announce),
        accept_(accept),
        unused_window_(window),
        stream_(&context_) {
    (*announce_)(&context_, &stream_, start_.Begin());
  }

  void StartRead(grpc::ByteBuffer* frame, EventTag* tag) override { stream_.Read(frame, tag); }
  void StartWrite(const grpc::ByteBuffer& frame, EventTag* tag) override {
    stream_.Write(frame, tag);
  }
  void StartEnd(typename Base::Side by, bool write_pending) override {
    if (!write_pending) {
      OnWriteOverAfterEnd();
    } else if (by != Base::Side::kThisSaysWhy) {
      context_.TryCancel();
    }
  }
  void OnWriteOverAfterEnd() override { stream_.Finish(this->status(), finish_.Begin()); }

  void OnStart(bool ok) {
    if (!ok) {  // The server is shutting down; gRPC knows nothing of this stream.
      this->Dissolve();
      return;
    }
    AnnounceNext(announce_, accept_, unused_window_);
    this->SetHandlers((*accept_)(this));
    this->Opened();
  }
  void OnFinish(bool /*ok*/) { this->Finished(this->status()); }

  const Announce* const announce_;
  const Accept* const accept_;
  const BulkWindow unused_window_;  // For the successor.
  Operation<IncomingPeerStream> start_{this, &IncomingPeerStream::OnStart};
  Operation<IncomingPeerStream> finish_{this, &IncomingPeerStream::OnFinish};
  grpc::ServerContext context_;
  Stream stream_;
};

}  // namespace raftkv::server
