#include <atomic>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/bench/backend.h"
#include "raftkv/v1/cluster.grpc.pb.h"
#include "raftkv/v1/kv.grpc.pb.h"

namespace raftkv::bench {
namespace {

class RaftkvSlot final : public Slot {
 public:
  // Without a prefix puts have no request ids.
  RaftkvSlot(std::shared_ptr<grpc::Channel> channel, grpc::CompletionQueue* queue, bool stale,
             std::string id_prefix)
      : stub_(v1::KvService::NewStub(std::move(channel))),
        queue_(queue),
        id_prefix_(std::move(id_prefix)) {
    if (stale) get_request_.set_consistency(v1::CONSISTENCY_STALE);
  }

  void StartPut(absl::string_view key, absl::string_view value, absl::Duration timeout,
                void* tag) override {
    put_request_.mutable_key()->assign(key.data(), key.size());
    put_request_.mutable_data()->assign(value.data(), value.size());
    if (!id_prefix_.empty()) {
      put_request_.set_request_id(absl::StrCat(id_prefix_, absl::Hex(++ids_)));
    }
    PrepareContext(context_.emplace(), timeout);
    put_call_ = stub_->AsyncPut(&*context_, put_request_, queue_);
    put_call_->Finish(&put_response_, &status_, tag);
  }

  void StartGet(absl::string_view key, absl::Duration timeout, void* tag) override {
    get_request_.mutable_key()->assign(key.data(), key.size());
    PrepareContext(context_.emplace(), timeout);
    get_call_ = stub_->AsyncGet(&*context_, get_request_, queue_);
    get_call_->Finish(&get_response_, &status_, tag);
  }

  const grpc::Status& status() const override { return status_; }
  bool found() const override { return get_response_.has_kv(); }

 private:
  const std::unique_ptr<v1::KvService::Stub> stub_;
  grpc::CompletionQueue* const queue_;
  const std::string id_prefix_;
  uint64_t ids_ = 0;
  v1::PutRequest put_request_;
  v1::PutResponse put_response_;
  v1::GetRequest get_request_;
  v1::GetResponse get_response_;
  grpc::Status status_;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::PutResponse>> put_call_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::GetResponse>> get_call_;
};

class RaftkvBackend final : public Backend {
 public:
  RaftkvBackend(bool stale, bool request_ids)
      : stale_(stale), request_ids_(request_ids), run_(std::random_device()()) {}

  std::unique_ptr<Slot> NewSlot(std::shared_ptr<grpc::Channel> channel,
                                grpc::CompletionQueue* queue) const override {
    return std::make_unique<RaftkvSlot>(
        std::move(channel), queue, stale_,
        request_ids_ ? absl::StrCat("bench-", absl::Hex(run_), "-", ++slots_, "-") : "");
  }

  absl::StatusOr<bool> IsLeader(std::shared_ptr<grpc::Channel> channel,
                                absl::Duration timeout) const override {
    grpc::ClientContext context;
    PrepareContext(context, timeout);
    v1::GetStatusResponse response;
    const grpc::Status status =
        v1::ClusterService::NewStub(channel)->GetStatus(&context, {}, &response);
    if (!status.ok()) return absl::UnavailableError(status.error_message());
    return response.raft_state() == v1::RAFT_STATE_LEADER;
  }

 private:
  const bool stale_;
  const bool request_ids_;
  const unsigned run_;  // Other runs have other ids.
  mutable std::atomic<int> slots_ = 0;
};

}  // namespace

std::unique_ptr<Backend> NewRaftkvBackend(bool stale, bool request_ids) {
  return std::make_unique<RaftkvBackend>(stale, request_ids);
}

}  // namespace raftkv::bench
