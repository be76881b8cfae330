#include "tests/support/rpc.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/generic/generic_stub.h>

#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace raftkv::integration {
namespace {

template <typename Response, typename Stub, typename Request>
Reply<Response> Call(Stub* stub,
                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                     const Request& request, Millis timeout) {
  grpc::ClientContext context;
  SetTimeout(&context, timeout);
  Reply<Response> reply;
  const grpc::Status status = (stub->*method)(&context, request, &reply.response);
  static_cast<CallError&>(reply) = MakeCallError(status, context);
  return reply;
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (buffer.Dump(&slices).ok()) {
    for (const grpc::Slice& slice : slices) {
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
  }
  return bytes;
}

// Keeps connections moving while nobody waits for an answer. gRPC 1.51 looks at sockets only on
// threads that wait for a call, and a channel whose server was down fails calls at once until it is
// connected again: when all servers were down, nobody would be there to see a connection come up.
void KeepPolling() {
  static auto* const queue = new grpc::CompletionQueue;
  static auto* const poller = new std::thread([] {
    void* tag = nullptr;
    bool ok = false;
    while (queue->Next(&tag, &ok)) {
    }
  });
  static_cast<void>(poller);
}

}  // namespace

std::string CallError::Meta(const std::string& key) const {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

bool CallError::CertainlyNotApplied() const {
  // gRPC's own words for a connection that could not be made: nothing was sent.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && reason.empty()) {
    return absl::StrContains(status.error_message(), "failed to connect to all addresses");
  }
  return reason == "NO_LEADER" || reason == "OVERLOADED" || reason == "DISK_FULL" ||
         reason == "SHUTTING_DOWN" || reason == "PRECONDITION_FAILED";
}

std::ostream& operator<<(std::ostream& out, const CallError& error) {
  out << "code " << error.status.error_code();
  if (!error.reason.empty()) {
    out << "/" << error.reason;
  }
  out << " \"" << error.status.error_message() << "\"";
  for (const auto& [key, value] : error.metadata) {
    out << " " << key << "=" << value;
  }
  return out;
}

CallError MakeCallError(const grpc::Status& status, const grpc::ClientContext& context) {
  CallError error;
  error.status = status;
  for (const auto& [key, value] : context.GetServerTrailingMetadata()) {
    error.trailers[std::string(key.data(), key.size())] = std::string(value.data(), value.size());
  }
  google::rpc::Status details;
  if (!status.ok() && details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& detail : details.details()) {
      google::rpc::ErrorInfo info;
      if (detail.UnpackTo(&info)) {
        error.reason = info.reason();
        error.domain = info.domain();
        error.metadata.insert(info.metadata().begin(), info.metadata().end());
      }
    }
  }
  return error;
}

bool ParseText(const std::string& text, google::protobuf::Message* message) {
  return google::protobuf::TextFormat::ParseFromString(text, message);
}

void SetTimeout(grpc::ClientContext* context, Millis timeout) {
  context->set_deadline(std::chrono::system_clock::now() + timeout);
}

std::shared_ptr<grpc::Channel> MakeChannel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  KeepPolling();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

NodeClient::NodeClient(const std::string& address,
                       const std::shared_ptr<grpc::ChannelCredentials>& credentials)
    : address_(address),
      channel_(MakeChannel(address, credentials)),
      kv_(v1::KvService::NewStub(channel_)),
      cluster_(v1::ClusterService::NewStub(channel_)),
      maintenance_(v1::MaintenanceService::NewStub(channel_)),
      health_(grpc::health::v1::Health::NewStub(channel_)) {}

Reply<v1::GetResponse> NodeClient::Get(const v1::GetRequest& request, Millis timeout) {
  return Call(kv_.get(), &v1::KvService::Stub::Get, request, timeout);
}

Reply<v1::PutResponse> NodeClient::Put(const v1::PutRequest& request, Millis timeout) {
  return Call(kv_.get(), &v1::KvService::Stub::Put, request, timeout);
}

Reply<v1::DeleteResponse> NodeClient::Delete(const v1::DeleteRequest& request, Millis timeout) {
  return Call(kv_.get(), &v1::KvService::Stub::Delete, request, timeout);
}

Reply<v1::ListResponse> NodeClient::List(const v1::ListRequest& request, Millis timeout) {
  return Call(kv_.get(), &v1::KvService::Stub::List, request, timeout);
}

Reply<v1::DeleteRangeResponse> NodeClient::DeleteRange(const v1::DeleteRangeRequest& request,
                                                       Millis timeout) {
  return Call(kv_.get(), &v1::KvService::Stub::DeleteRange, request, timeout);
}

Reply<v1::ListMembersResponse> NodeClient::ListMembers(const v1::ListMembersRequest& request,
                                                       Millis timeout) {
  return Call(cluster_.get(), &v1::ClusterService::Stub::ListMembers, request, timeout);
}

Reply<v1::AddMemberResponse> NodeClient::AddMember(const v1::AddMemberRequest& request,
                                                   Millis timeout) {
  return Call(cluster_.get(), &v1::ClusterService::Stub::AddMember, request, timeout);
}

Reply<v1::RemoveMemberResponse> NodeClient::RemoveMember(const v1::RemoveMemberRequest& request,
                                                         Millis timeout) {
  return Call(cluster_.get(), &v1::ClusterService::Stub::RemoveMember, request, timeout);
}

Reply<v1::PromoteMemberResponse> NodeClient::PromoteMember(const v1::PromoteMemberRequest& request,
                                                           Millis timeout) {
  return Call(cluster_.get(), &v1::ClusterService::Stub::PromoteMember, request, timeout);
}

Reply<v1::UpdateMemberResponse> NodeClient::UpdateMember(const v1::UpdateMemberRequest& request,
                                                         Millis timeout) {
  return Call(cluster_.get(), &v1::ClusterService::Stub::UpdateMember, request, timeout);
}

Reply<v1::GetStatusResponse> NodeClient::GetStatus(Millis timeout) {
  return Call(cluster_.get(), &v1::ClusterService::Stub::GetStatus, v1::GetStatusRequest(),
              timeout);
}

Reply<v1::VerifyHashResponse> NodeClient::VerifyHash(const v1::VerifyHashRequest& request,
                                                     Millis timeout) {
  return Call(maintenance_.get(), &v1::MaintenanceService::Stub::VerifyHash, request, timeout);
}

Reply<v1::PutResponse> NodeClient::PutText(const std::string& key, const std::string& text,
                                           Millis timeout) {
  v1::PutRequest request;
  request.set_key(key);
  request.set_text(text);
  return Put(request, timeout);
}

Reply<v1::PutResponse> NodeClient::PutWithTtl(const std::string& key, const std::string& text,
                                              Millis ttl, Millis timeout) {
  v1::PutRequest request;
  request.set_key(key);
  request.set_text(text);
  *request.mutable_ttl() = google::protobuf::util::TimeUtil::MillisecondsToDuration(ttl.count());
  return Put(request, timeout);
}

Reply<v1::GetResponse> NodeClient::GetText(const std::string& key, Millis timeout) {
  v1::GetRequest request;
  request.set_key(key);
  request.set_as_text(true);
  return Get(request, timeout);
}

Reply<v1::GetResponse> NodeClient::GetStale(const std::string& key, Millis timeout) {
  v1::GetRequest request;
  request.set_key(key);
  request.set_as_text(true);
  request.set_consistency(v1::CONSISTENCY_STALE);
  return Get(request, timeout);
}

bool NodeClient::Healthy(const std::string& service) {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  const auto reply =
      Call(health_.get(), &grpc::health::v1::Health::Stub::Check, request, Millis(2000));
  return reply.ok() && reply->status() == grpc::health::v1::HealthCheckResponse::SERVING;
}

Reply<std::string> NodeClient::CallRaw(const std::string& method, const std::string& request,
                                       Millis timeout) {
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  SetTimeout(&context, timeout);
  const grpc::Slice slice(request);
  grpc::ByteBuffer bytes(&slice, 1);
  grpc::ByteBuffer answer;
  grpc::Status status;
  auto call = stub.PrepareUnaryCall(&context, method, bytes, &queue);
  call->StartCall();
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  Reply<std::string> reply;
  static_cast<CallError&>(reply) = MakeCallError(status, context);
  reply.response = ToString(answer);
  return reply;
}

}  // namespace raftkv::integration
