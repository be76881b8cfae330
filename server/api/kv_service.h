// The client API's KvService: checks a request, has the store do it, and answers.
#pragma once

#include <cstdint>
#include <functional>

#include "kv/store.h"
#include "raftkv/v1/kv.pb.h"
#include "server/api/response_header.h"
#include "server/loop/client_service.h"

namespace raftkv::server {

// Confined to the loop.
class KvService final {
 public:
  struct Limits {
    uint64_t value_bytes_max = 0;
    uint64_t delete_range_keys_max = 0;
  };

  // Borrows the store and what `header` needs.
  KvService(const Limits& limits, kv::Store* store, ResponseHeaderFiller header);

  // What to register with the server and to start.
  ClientService& service() { return service_; }

 private:
  void Get(ApiCall* call, const v1::GetRequest& request);
  void Put(ApiCall* call, v1::PutRequest request);
  void Delete(ApiCall* call, v1::DeleteRequest request);
  void List(ApiCall* call, const v1::ListRequest& request);
  void DeleteRange(ApiCall* call, const v1::DeleteRangeRequest& request);

  // Answers with the outcome, or fails the call.
  void Write(ApiCall* call, const absl::StatusOr<log::v1::Command>& command,
             std::function<void(log::v1::CommandOutcome outcome)> finish);
  void AnswerPage(ApiCall* call, const v1::ListRequest& request, kv::Store::Page page);

  const Limits limits_;
  kv::Store& store_;
  const ResponseHeaderFiller header_;
  ClientService service_{"raftkv.v1.KvService", /*counted=*/true};
};

}  // namespace raftkv::server
