#include "server/loop/client_service.h"

#include "absl/strings/str_cat.h"
#include "server/limits.h"

namespace raftkv::server {

int ClientService::AddStream(const std::string& method) {
  paths_.push_back(absl::StrCat("/", name_, "/", method));
  return service_.AddMethod(paths_.back().c_str());
}

void ClientService::Add(const std::string& method, absl::Status (*unsendable)(),
                        std::function<void(UnaryCall*)> handle) {
  methods_.push_back({.service = &service_,
                      .number = AddStream(method),
                      .handle = std::move(handle),
                      .unsendable = unsendable,
                      .queue = nullptr,
                      .accounting = nullptr});
}

void ClientService::Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting) {
  for (UnaryCall::Method& method : methods_) {
    method.queue = queue;
    method.accounting = accounting;
    UnaryCall::Announce(method, kPostedCallsPerMethod);
  }
}

}  // namespace raftkv::server
