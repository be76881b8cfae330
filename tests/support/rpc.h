// Calls to one server as a client in any language would make them, each answered by a Reply that
// keeps everything that the server said: status, google.rpc.ErrorInfo, trailers, response.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <ostream>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include "raftkv/v1/cluster.grpc.pb.h"
#include "raftkv/v1/kv.grpc.pb.h"
#include "raftkv/v1/maintenance.grpc.pb.h"
#include "tests/support/wait.h"

namespace raftkv::integration {

inline constexpr Millis kCallTimeout = Millis(15000);

// How a call failed, or that it did not.
struct CallError {
  grpc::Status status;
  // google.rpc.ErrorInfo; empty strings when the server sent none.
  std::string reason;
  std::string domain;
  std::map<std::string, std::string> metadata;
  // Trailing metadata of the call.
  std::map<std::string, std::string> trailers;

  bool ok() const { return status.ok(); }
  // The metadata's value of a key, or "" when it has none.
  std::string Meta(const std::string& key) const;
  // The server says that the write was not proposed, or the call never left this process.
  bool CertainlyNotApplied() const;

  friend std::ostream& operator<<(std::ostream& out, const CallError& error);
};

// Takes apart what a finished call left in its context.
CallError MakeCallError(const grpc::Status& status, const grpc::ClientContext& context);

template <typename Response>
struct Reply : CallError {
  Response response;

  const Response* operator->() const { return &response; }
};

// A message from protobuf's text format. REQUIRES: `text` is well formed.
bool ParseText(const std::string& text, google::protobuf::Message* message);
template <typename Message>
Message Proto(const std::string& text) {
  Message message;
  if (!ParseText(text, &message)) {
    std::abort();
  }
  return message;
}

// A client of one address: reconnects within a fraction of a second, retries nothing. Thread-safe.
class NodeClient {
 public:
  explicit NodeClient(const std::string& address,
                      const std::shared_ptr<grpc::ChannelCredentials>& credentials =
                          grpc::InsecureChannelCredentials());

  Reply<v1::GetResponse> Get(const v1::GetRequest& request, Millis timeout = kCallTimeout);
  Reply<v1::PutResponse> Put(const v1::PutRequest& request, Millis timeout = kCallTimeout);
  Reply<v1::DeleteResponse> Delete(const v1::DeleteRequest& request, Millis timeout = kCallTimeout);
  Reply<v1::ListResponse> List(const v1::ListRequest& request, Millis timeout = kCallTimeout);
  Reply<v1::DeleteRangeResponse> DeleteRange(const v1::DeleteRangeRequest& request,
                                             Millis timeout = kCallTimeout);
  Reply<v1::ListMembersResponse> ListMembers(const v1::ListMembersRequest& request = {},
                                             Millis timeout = kCallTimeout);
  Reply<v1::AddMemberResponse> AddMember(const v1::AddMemberRequest& request,
                                         Millis timeout = kCallTimeout);
  Reply<v1::RemoveMemberResponse> RemoveMember(const v1::RemoveMemberRequest& request,
                                               Millis timeout = kCallTimeout);
  Reply<v1::PromoteMemberResponse> PromoteMember(const v1::PromoteMemberRequest& request,
                                                 Millis timeout = kCallTimeout);
  Reply<v1::UpdateMemberResponse> UpdateMember(const v1::UpdateMemberRequest& request,
                                               Millis timeout = kCallTimeout);
  Reply<v1::GetStatusResponse> GetStatus(Millis timeout = kCallTimeout);
  Reply<v1::VerifyHashResponse> VerifyHash(const v1::VerifyHashRequest& request = {},
                                           Millis timeout = kCallTimeout);

  // Shorthands for the common shapes.
  Reply<v1::PutResponse> PutText(const std::string& key, const std::string& text,
                                 Millis timeout = kCallTimeout);
  Reply<v1::PutResponse> PutWithTtl(const std::string& key, const std::string& text, Millis ttl,
                                    Millis timeout = kCallTimeout);
  Reply<v1::GetResponse> GetText(const std::string& key, Millis timeout = kCallTimeout);
  Reply<v1::GetResponse> GetStale(const std::string& key, Millis timeout = kCallTimeout);

  // Whether grpc.health.v1 says SERVING for a service name; false also when it cannot be asked.
  bool Healthy(const std::string& service);

  // A call with any bytes as its request, to a method given as "/package.Service/Method".
  Reply<std::string> CallRaw(const std::string& method, const std::string& request,
                             Millis timeout = kCallTimeout);

  const std::string& address() const { return address_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  v1::KvService::Stub* kv() const { return kv_.get(); }

 private:
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::KvService::Stub> kv_;
  std::unique_ptr<v1::ClusterService::Stub> cluster_;
  std::unique_ptr<v1::MaintenanceService::Stub> maintenance_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

// A channel that shares no connection with any other, reconnects quickly and never retries.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const std::shared_ptr<grpc::ChannelCredentials>&
                                               credentials = grpc::InsecureChannelCredentials());
// Gives a call `timeout` from now on.
void SetTimeout(grpc::ClientContext* context, Millis timeout);

}  // namespace raftkv::integration
