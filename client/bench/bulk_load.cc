#include "client/bench/bulk_load.h"

#include <glog/logging.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/status_macros.h"
#include "client/bench/backend.h"
#include "raftkv/v1/cluster.grpc.pb.h"
#include "raftkv/v1/kv.grpc.pb.h"

namespace raftkv::bench {
namespace {

constexpr absl::Duration kBulkConnectTimeout = absl::Seconds(5);

std::string ErrorName(int code) { return absl::StrCat("code ", code); }

// Makes puts, and counts what becomes of them. Confined to one thread.
class PutSource {
 public:
  PutSource(const LoadOptions& options, bool request_ids)
      : options_(options),
        rng_(options.seed),
        value_(options.value_bytes, '\0'),
        id_prefix_(request_ids ? absl::StrCat("bench-", absl::Hex(std::random_device()()), "-")
                               : "") {
    for (char& byte : value_) byte = static_cast<char>(rng_.Below(256));
    count_from_ = clock_.Now() + absl::ToInt64Nanoseconds(options.warmup);
    count_until_ = count_from_ + absl::ToInt64Nanoseconds(options.duration);
  }

  MonotonicNanos Now() const { return clock_.Now(); }
  bool goes_on() const { return clock_.Now() < count_until_; }

  void Fill(v1::PutRequest* put) {
    put->set_key(absl::StrFormat("bench-%010u", rng_.Below(options_.keys)));
    // A few fresh bytes make each value new without filling all of it again.
    const uint64_t fresh = rng_.Next();
    std::memcpy(value_.data(), &fresh, std::min(sizeof(fresh), value_.size()));
    put->set_data(value_);
    if (!id_prefix_.empty()) {
      put->set_request_id(absl::StrCat(id_prefix_, absl::Hex(++ids_)));
    }
  }

  void Count(MonotonicNanos started, const v1::BatchResult& result) {
    const MonotonicNanos now = clock_.Now();
    if (now < count_from_ || now >= count_until_) return;
    if (result.has_put()) {
      result_.puts.Record(now - started);
    } else {
      ++result_.errors[ErrorName(result.error().code())];
    }
  }
  void CountFailures(int puts, const grpc::Status& status) {
    result_.errors[ErrorName(status.error_code())] += puts;
  }

  LoadResult Take() {
    result_.seconds = absl::ToDoubleSeconds(options_.duration);
    return std::move(result_);
  }

 private:
  const LoadOptions& options_;
  const SystemMonotonicClock clock_;
  Rng rng_;
  std::string value_;
  const std::string id_prefix_;
  uint64_t ids_ = 0;
  MonotonicNanos count_from_ = 0;
  MonotonicNanos count_until_ = 0;
  LoadResult result_;
};

absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> OpenChannels(
    const LoadOptions& options) {
  std::vector<std::string> endpoints;
  const auto connect =
      [&](const std::string& endpoint) -> absl::StatusOr<std::shared_ptr<grpc::Channel>> {
    grpc::ChannelArguments arguments;
    // Without it channels to one address share one connection.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel(endpoint, options.credentials, arguments);
    if (!channel->WaitForConnected(std::chrono::system_clock::now() +
                                   absl::ToChronoNanoseconds(kBulkConnectTimeout))) {
      return absl::UnavailableError(absl::StrCat("cannot connect to ", endpoint));
    }
    return channel;
  };
  const std::unique_ptr<Backend> backend = NewRaftkvBackend(/*stale=*/false, /*request_ids=*/false);
  for (const std::string& endpoint : options.endpoints) {
    RAFTKV_ASSIGN_OR_RETURN(const auto channel, connect(endpoint));
    if (options.leader_only) {
      RAFTKV_ASSIGN_OR_RETURN(const bool leads, backend->IsLeader(channel, kBulkConnectTimeout));
      if (!leads) continue;
    }
    endpoints.push_back(endpoint);
  }
  if (endpoints.empty()) return absl::UnavailableError("no endpoint leads the cluster");
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < options.connections; ++i) {
    RAFTKV_ASSIGN_OR_RETURN(channels.emplace_back(), connect(endpoints[i % endpoints.size()]));
  }
  return channels;
}

struct BatchCall {
  std::unique_ptr<v1::KvService::Stub> stub;
  v1::BatchRequest request;
  v1::BatchResponse response;
  grpc::Status status;
  MonotonicNanos started = 0;
  std::optional<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::BatchResponse>> call;
};

LoadResult RunBatches(const LoadOptions& options, const BulkOptions& bulk,
                      const std::vector<std::shared_ptr<grpc::Channel>>& channels) {
  grpc::CompletionQueue queue;
  PutSource source(options, bulk.request_ids);
  const auto start = [&](BatchCall* call) {
    call->request.Clear();
    for (int i = 0; i < bulk.batch_puts; ++i) {
      source.Fill(call->request.add_ops()->mutable_put());
    }
    call->started = source.Now();
    PrepareContext(call->context.emplace(), options.timeout);
    call->call = call->stub->AsyncBatch(&*call->context, call->request, &queue);
    call->call->Finish(&call->response, &call->status, call);
  };
  std::deque<BatchCall> calls(std::max(1, options.in_flight / bulk.batch_puts));
  size_t next_channel = 0;
  for (BatchCall& call : calls) {
    call.stub = v1::KvService::NewStub(channels[next_channel++ % channels.size()]);
    start(&call);
  }
  for (size_t outstanding = calls.size(); outstanding > 0;) {
    void* tag = nullptr;
    bool ok = false;
    CHECK(queue.Next(&tag, &ok));
    auto* const call = static_cast<BatchCall*>(tag);
    if (!call->status.ok()) {
      source.CountFailures(bulk.batch_puts, call->status);
    }
    for (const v1::BatchResult& result : call->response.results()) {
      source.Count(call->started, result);
    }
    if (source.goes_on()) {
      start(call);
    } else {
      --outstanding;
    }
  }
  return source.Take();
}

// One stream, whose ids are the places of its puts.
class BenchStream {
 public:
  BenchStream(const std::shared_ptr<grpc::Channel>& channel, grpc::CompletionQueue* queue,
              PutSource* source, int in_flight)
      : source_(*source), stub_(v1::KvService::NewStub(channel)), started_(in_flight) {
    for (int i = 0; i < in_flight; ++i) {
      idle_.push_back(i);
    }
    stream_ = stub_->AsyncStream(&context_, queue, &start_);
  }

  // What an event of this stream's is for.
  struct Tag {
    BenchStream* stream;
    void (BenchStream::*on_event)(bool ok);
  };

  // Ends once all is answered.
  bool is_over() const { return finished_; }
  const grpc::Status& status() const { return status_; }

 private:
  void OnStarted(bool ok) {
    if (!ok) return Finish();
    stream_->Read(&response_, &read_);
    GoOn();
  }

  void OnRead(bool ok) {
    if (!ok) return Finish();
    source_.Count(started_[response_.id()], response_.result());
    idle_.push_back(response_.id());
    GoOn();
    stream_->Read(&response_, &read_);
  }

  // When it failed, the read ends, too.
  void OnWritten(bool ok) {
    writing_ = false;
    if (ok) GoOn();
  }

  void OnClosed(bool /*ok*/) {}

  void OnFinished(bool /*ok*/) { finished_ = true; }

  void GoOn() {
    if (writing_ || closing_) return;
    if (source_.goes_on()) return WriteNext();
    if (idle_.size() == started_.size()) {
      closing_ = true;
      stream_->WritesDone(&closed_);
    }
  }

  void WriteNext() {
    if (idle_.empty()) return;
    const uint64_t place = idle_.front();
    idle_.pop_front();
    request_.set_id(place);
    source_.Fill(request_.mutable_op()->mutable_put());
    started_[place] = source_.Now();
    writing_ = true;
    grpc::WriteOptions write;
    if (!idle_.empty()) write.set_buffer_hint();
    stream_->Write(request_, write, &write_);
  }

  void Finish() { stream_->Finish(&status_, &finish_); }

  PutSource& source_;
  const std::unique_ptr<v1::KvService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::StreamRequest, v1::StreamResponse>> stream_;
  v1::StreamRequest request_;
  v1::StreamResponse response_;
  std::vector<MonotonicNanos> started_;
  std::deque<uint64_t> idle_;
  bool writing_ = false;
  bool closing_ = false;
  bool finished_ = false;
  grpc::Status status_;
  Tag start_{this, &BenchStream::OnStarted};
  Tag read_{this, &BenchStream::OnRead};
  Tag write_{this, &BenchStream::OnWritten};
  Tag closed_{this, &BenchStream::OnClosed};
  Tag finish_{this, &BenchStream::OnFinished};
};

absl::StatusOr<LoadResult> RunStreams(const LoadOptions& options, const BulkOptions& bulk,
                                      const std::vector<std::shared_ptr<grpc::Channel>>& channels) {
  grpc::CompletionQueue queue;
  PutSource source(options, bulk.request_ids);
  std::deque<BenchStream> streams;
  const int of_each = std::max(1, options.in_flight / static_cast<int>(channels.size()));
  for (const auto& channel : channels) {
    streams.emplace_back(channel, &queue, &source, of_each);
  }
  const auto over = [&streams] {
    return std::all_of(streams.begin(), streams.end(),
                       [](const BenchStream& stream) { return stream.is_over(); });
  };
  while (!over()) {
    void* tag = nullptr;
    bool ok = false;
    CHECK(queue.Next(&tag, &ok));
    const auto* const event = static_cast<BenchStream::Tag*>(tag);
    (event->stream->*event->on_event)(ok);
  }
  for (const BenchStream& stream : streams) {
    if (!stream.status().ok()) {
      return absl::UnavailableError(
          absl::StrCat("a stream ended: ", stream.status().error_message()));
    }
  }
  return source.Take();
}

}  // namespace

absl::StatusOr<LoadResult> RunBulk(const LoadOptions& options, const BulkOptions& bulk) {
  RAFTKV_ASSIGN_OR_RETURN(const auto channels, OpenChannels(options));
  return bulk.method == BulkMethod::kBatch ? RunBatches(options, bulk, channels)
                                           : RunStreams(options, bulk, channels);
}

}  // namespace raftkv::bench
