#include "server/loop/client_service.h"

#include "absl/strings/str_cat.h"
#include "server/limits.h"

namespace raftkv::server {

int ClientService::AddStream(const std::string& method) {
  paths_.push_back(absl::StrCat("/", name_, "/", method));
  return service_.AddMethod(paths_.back().c_str());
}

void ClientService::Add(const std::string& method, absl::Status (*unsendable)(),
                        std::function<void(UnaryCall*)> handle_bytes,
                        const google::protobuf::Message* request,
                        std::function<void(ApiCall*, google::protobuf::Message*)> handle_message) {
  RequestKind kind = RequestKind::kOther;
  if (counted_) {
    kind = unsendable == kv::UnreadOutcomeError ? RequestKind::kWrite : RequestKind::kRead;
  }
  grpc_methods_.push_back({.service = &service_,
                           .number = AddStream(method),
                           .handle = std::move(handle_bytes),
                           .unsendable = unsendable,
                           .counts = &counts_.emplace_back(),
                           .kind = kind,
                           .queue = nullptr,
                           .accounting = nullptr});
  methods_.push_back({.path = paths_.back(),
                      .request = request,
                      .handle = std::move(handle_message),
                      .unsendable = unsendable,
                      .counts = &counts_.back(),
                      .kind = kind});
}

void ClientService::Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting) {
  for (UnaryCall::Method& method : grpc_methods_) {
    method.queue = queue;
    method.accounting = accounting;
    UnaryCall::Announce(method, kPostedCallsPerMethod);
  }
}

}  // namespace raftkv::server
