#include <optional>
#include <utility>

#include "client/bench/backend.h"
#include "etcd_kv.grpc.pb.h"

namespace raftkv::bench {
namespace {

class EtcdSlot final : public Slot {
 public:
  EtcdSlot(std::shared_ptr<grpc::Channel> channel, grpc::CompletionQueue* queue, bool stale)
      : stub_(etcdserverpb::KV::NewStub(std::move(channel))), queue_(queue) {
    range_request_.set_serializable(stale);
  }

  void StartPut(absl::string_view key, absl::string_view value, absl::Duration timeout,
                void* tag) override {
    put_request_.mutable_key()->assign(key.data(), key.size());
    put_request_.mutable_value()->assign(value.data(), value.size());
    PrepareContext(context_.emplace(), timeout);
    put_call_ = stub_->AsyncPut(&*context_, put_request_, queue_);
    put_call_->Finish(&put_response_, &status_, tag);
  }

  void StartGet(absl::string_view key, absl::Duration timeout, void* tag) override {
    range_request_.mutable_key()->assign(key.data(), key.size());
    PrepareContext(context_.emplace(), timeout);
    range_call_ = stub_->AsyncRange(&*context_, range_request_, queue_);
    range_call_->Finish(&range_response_, &status_, tag);
  }

  const grpc::Status& status() const override { return status_; }
  bool found() const override { return range_response_.kvs_size() == 1; }

 private:
  const std::unique_ptr<etcdserverpb::KV::Stub> stub_;
  grpc::CompletionQueue* const queue_;
  etcdserverpb::PutRequest put_request_;
  etcdserverpb::PutResponse put_response_;
  etcdserverpb::RangeRequest range_request_;
  etcdserverpb::RangeResponse range_response_;
  grpc::Status status_;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<etcdserverpb::PutResponse>> put_call_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<etcdserverpb::RangeResponse>> range_call_;
};

class EtcdBackend final : public Backend {
 public:
  explicit EtcdBackend(bool stale) : stale_(stale) {}

  std::unique_ptr<Slot> NewSlot(std::shared_ptr<grpc::Channel> channel,
                                grpc::CompletionQueue* queue) const override {
    return std::make_unique<EtcdSlot>(std::move(channel), queue, stale_);
  }

  absl::StatusOr<bool> IsLeader(std::shared_ptr<grpc::Channel> channel,
                                absl::Duration timeout) const override {
    grpc::ClientContext context;
    PrepareContext(context, timeout);
    etcdserverpb::StatusResponse response;
    const grpc::Status status =
        etcdserverpb::Maintenance::NewStub(channel)->Status(&context, {}, &response);
    if (!status.ok()) return absl::UnavailableError(status.error_message());
    return response.leader() != 0 && response.leader() == response.header().member_id();
  }

 private:
  const bool stale_;
};

}  // namespace

std::unique_ptr<Backend> NewEtcdBackend(bool stale) { return std::make_unique<EtcdBackend>(stale); }

}  // namespace raftkv::bench
