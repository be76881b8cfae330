#include "client/grpc_stub.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/sync_stream.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_chain.h"
#include "client/error_payload.h"
#include "client/errors.h"
#include "client/rpc.h"

namespace raftkv::client {
namespace {

constexpr int kKeepaliveMs = 10'000;
constexpr int kReconnectBackoffMinMs = 100;
constexpr int kReconnectBackoffMaxMs = 1'000;
// How long one address of a name may take to answer before the next one is tried: two round trips,
// so that a path over a satellite is in it.
constexpr int kConnectAttemptMs = 1'250;
// A name is resolved anew when its addresses fail, but not more often.
constexpr int kResolveIntervalMs = 1'000;
// How long to ask a channel that just failed to connect why it failed; it answers without the
// network.
constexpr absl::Duration kProbeTimeout = absl::Milliseconds(200);

// How long a call waits for a channel that had failed before to connect again.
constexpr absl::Duration kReconnectWait = absl::Milliseconds(100);

grpc::ChannelArguments ChannelSettings() {
  grpc::ChannelArguments arguments;
  // gRPC's own retries, the transparent ones included, could do a write twice.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectBackoffMinMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectBackoffMaxMs);
  // Named for the backoff, but it is the time that an attempt gets.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectAttemptMs);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, kResolveIntervalMs);
  // Answers have limits of their own (a page 3 MiB, a value 3 MiB). A limit here could only turn a
  // write that was done and answered into an error.
  arguments.SetMaxReceiveMessageSize(-1);
  // A cluster's members are not behind the proxy that `http_proxy` names for the web.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

std::chrono::system_clock::time_point DeadlineAfter(absl::Duration timeout) {
  return std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout);
}

absl::Status CannotConnect(absl::string_view cause) {
  return WithReason(absl::UnavailableError(cause), kReasonCannotConnect, kClientErrorDomain);
}

absl::Status NoAnswerWithin(absl::Duration timeout) {
  return CannotConnect(absl::StrCat(
      "no answer within ", absl::FormatDuration(absl::Ceil(timeout, absl::Milliseconds(1)))));
}

// gRPC's words for an attempt to connect that had no answer in its time.
constexpr absl::string_view kAttemptTimedOut = "tcp handshaker shutdown";

// What a failed handshake of TLS mostly means: gRPC's words do not even say that it was one.
std::string Explained(absl::string_view cause) {
  if (absl::StrContains(cause, "certificate verify failed")) {
    return absl::StrCat(cause,
                        " (the server's certificate has expired, or is of a CA that this client "
                        "does not trust)");
  }
  if (absl::StrContains(cause, "wrong version number")) {
    return absl::StrCat(cause, " (the server speaks no TLS)");
  }
  if (cause == "Socket closed") {
    return absl::StrCat(cause,
                        " (the server may want TLS, or another client certificate than it got, if "
                        "it got one)");
  }
  return std::string(cause);
}

// Every operation of gRPC's is a tag: what it is for.
class GrpcBidiCall final : public BidiCall {
 public:
  using Message = google::protobuf::Message;

  GrpcBidiCall(grpc::Channel* channel, const char* path, Message* response)
      : method_(path, grpc::internal::RpcMethod::BIDI_STREAMING), response_(response) {
    stream_.reset(grpc::internal::ClientAsyncReaderWriterFactory<Message, Message>::Create(
        channel, &queue_, method_, &context_, /*start=*/true, Begin(&start_)));
  }

  ~GrpcBidiCall() override {
    static_cast<void>(Finish());
    alarm_.Cancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  Event Await(absl::Duration timeout) override {
    if (has_message_) {
      has_message_ = false;
      if (!ended_) {
        stream_->Read(response_, Begin(&read_));
      }
    }
    const auto deadline = DeadlineAfter(timeout);
    while (!ended_) {
      void* tag = nullptr;
      bool ok = false;
      if (queue_.AsyncNext(&tag, &ok, deadline) != grpc::CompletionQueue::GOT_EVENT) {
        return Event::kTimeUp;
      }
      if (tag == &wake_) {
        wake_pending_.store(false);
        return Event::kWoken;
      }
      --pending_;
      if (!ok) {
        // What cannot be written to may still have messages to read.
        ended_ = tag != &write_;
      } else if (tag == &read_) {
        has_message_ = true;
        return Event::kMessage;
      } else {
        if (tag == &start_) {
          stream_->Read(response_, Begin(&read_));
        }
        return Event::kWritable;
      }
    }
    return Event::kEnded;
  }

  void Write(const Message& message, bool more_follows) override {
    grpc::WriteOptions options;
    if (more_follows) {
      options.set_buffer_hint();
    }
    stream_->Write(message, options, Begin(&write_));
  }

  void Wake() override {
    if (!wake_pending_.exchange(true)) {
      alarm_.Set(&queue_, gpr_inf_past(GPR_CLOCK_MONOTONIC), &wake_);
    }
  }

  absl::Status Finish() override {
    if (finished_) {
      return status_;
    }
    finished_ = true;
    if (!ended_) {
      context_.TryCancel();
    }
    ended_ = true;
    grpc::Status status;
    stream_->Finish(&status, Begin(&finish_));
    void* tag = nullptr;
    bool ok = false;
    while (pending_ > 0 && queue_.Next(&tag, &ok)) {
      if (tag != &wake_) {
        --pending_;
      }
    }
    if (!status.ok()) {
      status_ = StatusFromRpc(status.error_code(), status.error_message(), status.error_details());
    }
    return status_;
  }

 private:
  void* Begin(char* tag) {
    ++pending_;
    return tag;
  }

  // Its events come to this call alone.
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  const grpc::internal::RpcMethod method_;
  Message* const response_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<Message, Message>> stream_;
  // Tags; only their addresses count.
  char start_ = 0;
  char read_ = 0;
  char write_ = 0;
  char finish_ = 0;
  char wake_ = 0;
  int pending_ = 0;  // Without wake_.
  bool has_message_ = false;
  bool ended_ = false;
  bool finished_ = false;
  absl::Status status_;
  // So that the alarm is armed once at a time.
  std::atomic<bool> wake_pending_{false};
  grpc::Alarm alarm_;
};

class GrpcStub final : public Stub {
 public:
  GrpcStub(const std::string& endpoint,
           const std::shared_ptr<grpc::ChannelCredentials>& credentials)
      : channel_(grpc::CreateCustomChannel(endpoint, credentials, ChannelSettings())) {}

  absl::Status Connect(absl::Duration timeout) override {
    const auto deadline = DeadlineAfter(timeout);
    grpc_connectivity_state state = channel_->GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE) {
      // The channel tries again by itself only while somebody polls it, and nobody does between
      // calls: so this call has it try now, and waits as long as a near server takes.
      grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
      channel_->WaitForStateChange(state, DeadlineAfter(std::min(timeout, kReconnectWait)));
      state = channel_->GetState(/*try_to_connect=*/true);
    }
    while (state != GRPC_CHANNEL_READY) {
      if (state == GRPC_CHANNEL_TRANSIENT_FAILURE) {
        return ProbeFailedChannel(timeout);
      }
      if (!channel_->WaitForStateChange(state, deadline)) {
        return NoAnswerWithin(timeout);
      }
      state = channel_->GetState(/*try_to_connect=*/true);
    }
    return absl::OkStatus();
  }

  absl::Status Call(const char* path, absl::Duration timeout,
                    const google::protobuf::Message& request,
                    google::protobuf::Message* response) override {
    grpc::ClientContext context;
    context.set_deadline(DeadlineAfter(timeout));
    const grpc::internal::RpcMethod method(path, grpc::internal::RpcMethod::NORMAL_RPC);
    const grpc::Status status =
        grpc::internal::BlockingUnaryCall<google::protobuf::Message, google::protobuf::Message>(
            channel_.get(), method, &context, request, response);
    return status.ok()
               ? absl::OkStatus()
               : StatusFromRpc(status.error_code(), status.error_message(), status.error_details());
  }

  absl::Status ReadStream(const char* path, const google::protobuf::Message& request,
                          google::protobuf::Message* response,
                          absl::FunctionRef<absl::Status()> on_message) override {
    using Message = google::protobuf::Message;
    grpc::ClientContext context;
    const grpc::internal::RpcMethod method(path, grpc::internal::RpcMethod::SERVER_STREAMING);
    const std::unique_ptr<grpc::ClientReader<Message>> reader(
        grpc::internal::ClientReaderFactory<Message>::Create(channel_.get(), method, &context,
                                                             request));
    absl::Status refused;
    while (refused.ok() && reader->Read(response)) {
      refused = on_message();
    }
    if (!refused.ok()) {
      context.TryCancel();
    }
    const grpc::Status status = reader->Finish();
    if (!refused.ok() || status.ok()) {
      return refused;
    }
    return StatusFromRpc(status.error_code(), status.error_message(), status.error_details());
  }

  absl::Status Stream(const char* path, absl::Duration silence_max,
                      const google::protobuf::Message& request, google::protobuf::Message* response,
                      absl::FunctionRef<bool()> on_response) override {
    using Message = google::protobuf::Message;
    grpc::ClientContext context;
    // Its events come to this call alone, so each is that of the operation that was begun last.
    grpc::CompletionQueue queue;
    const grpc::internal::RpcMethod method(path, grpc::internal::RpcMethod::SERVER_STREAMING);
    bool silent = false;
    const auto await = [&](absl::Duration time) {
      void* tag = nullptr;
      bool ok = false;
      if (queue.AsyncNext(&tag, &ok, DeadlineAfter(time)) == grpc::CompletionQueue::GOT_EVENT) {
        return ok;
      }
      silent = true;
      context.TryCancel();
      queue.Next(&tag, &ok);
      return false;
    };
    const std::unique_ptr<grpc::ClientAsyncReader<Message>> reader(
        grpc::internal::ClientAsyncReaderFactory<Message>::Create(
            channel_.get(), &queue, method, &context, request, /*start=*/true, /*tag=*/nullptr));
    bool wanted = true;
    bool going = await(silence_max);
    while (going && wanted) {
      reader->Read(response, /*tag=*/nullptr);
      going = await(silence_max);
      wanted = !going || on_response();
    }
    if (!wanted) {
      context.TryCancel();
    }
    grpc::Status status;
    reader->Finish(&status, /*tag=*/nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    if (!wanted || status.ok()) {
      return absl::OkStatus();
    }
    if (silent) {
      return absl::UnavailableError(
          absl::StrCat("nothing came for ", absl::FormatDuration(silence_max)));
    }
    return StatusFromRpc(status.error_code(), status.error_message(), status.error_details());
  }

  std::unique_ptr<BidiCall> OpenBidi(const char* path,
                                     google::protobuf::Message* response) override {
    return std::make_unique<GrpcBidiCall>(channel_.get(), path, response);
  }

 private:
  // gRPC tells why it could not connect only to a call, so this makes one that changes nothing.
  // Returns OK when the channel has found a connection meanwhile.
  absl::Status ProbeFailedChannel(absl::Duration timeout) {
    v1::GetStatusResponse response;
    const absl::Status probe =
        Call(kGetStatus.path, std::min(timeout, kProbeTimeout), v1::GetStatusRequest(), &response);
    if (channel_->GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY) {
      return absl::OkStatus();
    }
    if (!absl::IsUnavailable(probe)) {
      return CannotConnect("no answer");
    }
    const absl::string_view cause = InnermostCause(probe.message());
    return cause == kAttemptTimedOut ? NoAnswerWithin(absl::Milliseconds(kConnectAttemptMs))
                                     : CannotConnect(Explained(cause));
  }

  // Constant after construction.
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace

std::unique_ptr<Stub> MakeGrpcStub(const std::string& endpoint,
                                   const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  return std::make_unique<GrpcStub>(endpoint, credentials);
}

}  // namespace raftkv::client
