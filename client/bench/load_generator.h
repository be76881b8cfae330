// The closed loop: a fixed number of requests in flight, each finished one followed by the next.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/latency_histogram.h"
#include "base/rng.h"
#include "client/bench/backend.h"

namespace raftkv::bench {

// What values are made of.
enum class ValueKind {
  kRandom,  // Bytes that do not compress.
  kJson,    // Text as applications store it; compresses to about a third.
};

struct LoadOptions {
  std::vector<std::string> endpoints;  // host:port; connections are spread over them.
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  bool leader_only = false;  // Use only the endpoint that leads.
  int connections = 8;       // Each its own TCP connection.
  int in_flight = 256;       // Requests, over all connections.
  int read_percent = 0;      // Share of gets; the rest are puts.
  uint64_t keys = 100'000;   // Keys are drawn evenly from this many.
  size_t value_bytes = 256;
  ValueKind values = ValueKind::kRandom;
  absl::Duration warmup = absl::Seconds(2);  // Not counted.
  absl::Duration duration = absl::Seconds(10);
  absl::Duration timeout = absl::Seconds(10);  // Of one request.
  uint64_t seed = 1;
};

// What was counted while `seconds` passed. Latencies are in ns and of successful requests only.
struct LoadResult {
  LatencyHistogram puts;
  LatencyHistogram gets;
  std::map<std::string, uint64_t> errors;  // gRPC code, or "KEY_MISSING" -> number of requests.
  double seconds = 0;
};

// Drives one store. Confined to one thread.
class LoadGenerator {
 public:
  LoadGenerator(LoadOptions options, const Backend* backend);
  ~LoadGenerator();

  // Opens the connections; fails when an endpoint does not answer or when none leads though
  // one has to.
  absl::Status Connect();
  // Writes every key once, in order, `in_flight` at a time. Fails at the first put that fails.
  // REQUIRES: connected.
  absl::StatusOr<LoadResult> Fill(int in_flight);
  // Runs the load for warm-up and duration. REQUIRES: connected.
  LoadResult Run();

 private:
  struct Request;

  std::vector<Request> NewRequests(int count);
  // Gives the value bytes that it did not have before.
  void Renew(std::string* value);
  void Start(Request& request, bool get, uint64_t key);
  void StartRandom(Request& request);

  const LoadOptions options_;
  const Backend* const backend_;
  const SystemMonotonicClock clock_;
  Rng rng_;
  grpc::CompletionQueue queue_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
};

}  // namespace raftkv::bench
