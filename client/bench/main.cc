// raftkv_bench: measures a running cluster, of raftkv or of etcd, with one client at equal cost.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "client/bench/bulk_load.h"
#include "client/bench/load_generator.h"
#include "client/credentials.h"
#include "client/types.h"

namespace raftkv::bench {
namespace {

constexpr int kPrefillInFlight = 256;

// What was asked for on the command line.
struct CommandLine {
  LoadOptions load;
  std::string backend = "raftkv";
  std::string workload = "put";
  std::string consistency = "linearizable";
  std::string values = "random";
  std::string warmup = "2s";
  std::string duration = "10s";
  std::string timeout = "10s";
  TlsOptions tls;
  std::string via = "unary";
  BulkOptions bulk;
  bool no_prefill = false;
  bool json = false;
};

absl::Duration ParseDuration(const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration() ||
      duration > absl::Hours(24)) {
    throw CLI::ValidationError(text, "is not a duration like 500ms, 10s or 1m, at most 24h");
  }
  return duration;
}

void AddOptions(CLI::App& app, CommandLine& line) {
  LoadOptions& load = line.load;
  load.endpoints = {"127.0.0.1:2379"};
  app.add_option("--backend", line.backend, "What the endpoints speak")
      ->check(CLI::IsMember({"raftkv", "etcd"}))
      ->capture_default_str();
  app.add_option("--endpoints", load.endpoints, "host:port,... of the cluster's members")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--cacert", line.tls.ca_file, "Speak TLS, with servers of these CAs (PEM)");
  app.add_option("--cert", line.tls.cert_file, "Certificate to show to servers (PEM)");
  app.add_option("--key", line.tls.key_file, "Its private key (PEM)");
  app.add_flag("--leader-only", load.leader_only, "Use only the member that leads");
  app.add_option("--workload", line.workload,
                 "put, get, or both at --read-percent; fill writes every key once, in order")
      ->check(CLI::IsMember({"put", "get", "mix", "fill"}))
      ->capture_default_str();
  app.add_option("--read-percent", load.read_percent, "Share of gets in a mix [default 50]")
      ->check(CLI::Range(0, 100));
  app.add_option("--consistency", line.consistency, "Of gets")
      ->check(CLI::IsMember({"linearizable", "stale"}))
      ->capture_default_str();
  app.add_option("--value-size", load.value_bytes, "Bytes of each value")
      ->check(CLI::Range(0, 3 << 20))
      ->capture_default_str();
  app.add_option("--values", line.values, "What they are made of: json compresses")
      ->check(CLI::IsMember({"random", "json"}))
      ->capture_default_str();
  app.add_option("--keys", load.keys, "Number of different keys, drawn evenly")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}))
      ->capture_default_str();
  app.add_option("--in-flight", load.in_flight, "Requests in flight, over all connections")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--connections", load.connections, "Connections, spread over the endpoints")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--via", line.via,
                 "How puts go: a call each, many in a call, or many on a stream per connection")
      ->check(CLI::IsMember({"unary", "batch", "stream"}))
      ->capture_default_str();
  app.add_option("--batch-puts", line.bulk.batch_puts, "Puts of one batch; they are in flight")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_flag("--request-ids", line.bulk.request_ids, "Give each put an id of its own");
  app.add_option("--duration", line.duration, "Time that counts")->capture_default_str();
  app.add_option("--warmup", line.warmup, "Time before it that does not")->capture_default_str();
  app.add_option("--timeout", line.timeout, "Of one request")->capture_default_str();
  app.add_option("--seed", load.seed, "Of keys and values")->capture_default_str();
  app.add_flag("--no-prefill", line.no_prefill, "Do not write every key before gets");
  app.add_flag("--json", line.json, "Print one line of JSON");
}

// Settles what depends on several options. Throws CLI::ValidationError.
void Finish(const CLI::App& app, CommandLine& line) {
  LoadOptions& load = line.load;
  if (line.workload == "mix") {
    if (app.count("--read-percent") == 0) load.read_percent = 50;
  } else if (app.count("--read-percent") != 0) {
    throw CLI::ValidationError("--read-percent", "belongs to --workload mix");
  } else {
    load.read_percent = line.workload == "get" ? 100 : 0;
  }
  if (line.backend != "raftkv" && (line.via != "unary" || line.bulk.request_ids)) {
    throw CLI::ValidationError("--via, --request-ids", "belong to --backend raftkv");
  }
  if (line.via != "unary" && line.workload != "put") {
    throw CLI::ValidationError("--via", "is for --workload put");
  }
  if (line.via != "unary" && line.values == "json") {
    throw CLI::ValidationError("--values", "json is for --via unary");
  }
  line.bulk.method = line.via == "batch" ? BulkMethod::kBatch : BulkMethod::kStream;
  load.values = line.values == "json" ? ValueKind::kJson : ValueKind::kRandom;
  load.warmup = ParseDuration(line.warmup);
  load.duration = ParseDuration(line.duration);
  load.timeout = ParseDuration(line.timeout);
  if (load.duration == absl::ZeroDuration() || load.timeout == absl::ZeroDuration()) {
    throw CLI::ValidationError("--duration, --timeout", "must be more than 0");
  }
  load.connections = std::min(load.connections, load.in_flight);
  if (!line.tls.ca_file.empty() || !line.tls.cert_file.empty()) {
    const auto credentials = client::MakeCredentials(line.tls);
    if (!credentials.ok()) {
      throw CLI::ValidationError("--cacert, --cert, --key",
                                 std::string(credentials.status().message()));
    }
    load.credentials = *credentials;
  }
}

double Millis(uint64_t nanos) { return static_cast<double>(nanos) / 1e6; }

nlohmann::ordered_json ToJson(const LatencyHistogram& latencies, double seconds) {
  return {{"ops", latencies.count()},
          {"ops_per_second", static_cast<double>(latencies.count()) / seconds},
          {"mean_ms", latencies.Mean() / 1e6},
          {"p50_ms", Millis(latencies.Percentile(50))},
          {"p99_ms", Millis(latencies.Percentile(99))},
          {"p999_ms", Millis(latencies.Percentile(99.9))},
          {"max_ms", Millis(latencies.max())}};
}

void PrintJson(const CommandLine& line, const LoadResult& result) {
  nlohmann::ordered_json json = {{"backend", line.backend},
                                 {"workload", line.workload},
                                 {"via", line.via},
                                 {"request_ids", line.bulk.request_ids},
                                 {"consistency", line.consistency},
                                 {"in_flight", line.load.in_flight},
                                 {"connections", line.load.connections},
                                 {"value_size", line.load.value_bytes},
                                 {"keys", line.load.keys},
                                 {"seconds", result.seconds}};
  LatencyHistogram all = result.puts;
  all.Merge(result.gets);
  json["all"] = ToJson(all, result.seconds);
  if (line.load.read_percent < 100) json["put"] = ToJson(result.puts, result.seconds);
  if (line.load.read_percent > 0) json["get"] = ToJson(result.gets, result.seconds);
  json["errors"] = nlohmann::ordered_json::object();
  for (const auto& [code, count] : result.errors) json["errors"][code] = count;
  std::puts(json.dump().c_str());
}

void PrintRow(const char* name, const LatencyHistogram& latencies, double seconds) {
  std::printf("%-4s %10.0f ops/s   p50 %8.3f ms   p99 %8.3f ms   p99.9 %8.3f ms   max %8.3f ms\n",
              name, static_cast<double>(latencies.count()) / seconds,
              Millis(latencies.Percentile(50)), Millis(latencies.Percentile(99)),
              Millis(latencies.Percentile(99.9)), Millis(latencies.max()));
}

void PrintText(const CommandLine& line, const LoadResult& result) {
  std::printf("%s %s (%s%s), %zu B values, %llu keys, %d in flight over %d connections, %.1f s\n",
              line.backend.c_str(), line.workload.c_str(), line.via.c_str(),
              line.bulk.request_ids ? ", request ids" : "", line.load.value_bytes,
              static_cast<unsigned long long>(line.load.keys), line.load.in_flight,
              line.load.connections, result.seconds);
  if (line.load.read_percent < 100) PrintRow("put", result.puts, result.seconds);
  if (line.load.read_percent > 0) PrintRow("get", result.gets, result.seconds);
  std::string errors = absl::StrJoin(result.errors, ", ", absl::PairFormatter(" "));
  std::printf("errors: %s\n", errors.empty() ? "none" : errors.c_str());
}

// Exit 0 when requests succeeded, 1 when none did, 2 when the cluster cannot be reached or
// prepared.
int Run(const CommandLine& line) {
  if (line.via != "unary") {
    const absl::StatusOr<LoadResult> result = RunBulk(line.load, line.bulk);
    if (!result.ok()) {
      std::fprintf(stderr, "raftkv_bench: %s\n", std::string(result.status().message()).c_str());
      return 2;
    }
    line.json ? PrintJson(line, *result) : PrintText(line, *result);
    return result->puts.count() > 0 ? 0 : 1;
  }
  const bool stale = line.consistency == "stale";
  const std::unique_ptr<Backend> backend = line.backend == "etcd"
                                               ? NewEtcdBackend(stale)
                                               : NewRaftkvBackend(stale, line.bulk.request_ids);
  LoadGenerator generator(line.load, backend.get());
  absl::Status ready = generator.Connect();
  const bool fill = line.workload == "fill";
  LoadResult result;
  if (ready.ok() && (fill || (line.load.read_percent > 0 && !line.no_prefill))) {
    absl::StatusOr<LoadResult> filled =
        generator.Fill(fill ? line.load.in_flight : kPrefillInFlight);
    ready = filled.status();
    if (filled.ok()) result = *std::move(filled);
  }
  if (!ready.ok()) {
    std::fprintf(stderr, "raftkv_bench: %s\n", std::string(ready.message()).c_str());
    return 2;
  }
  if (!fill) result = generator.Run();
  line.json ? PrintJson(line, result) : PrintText(line, result);
  return result.puts.count() + result.gets.count() > 0 ? 0 : 1;
}

}  // namespace
}  // namespace raftkv::bench

int main(int argc, char** argv) {
  // The packaged Abseil looks for lock cycles on every lock that gRPC takes; the tool shares its
  // machine with what it measures.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  CLI::App app(
      "Measures a running raftkv or etcd cluster: a closed loop with N requests in flight.");
  raftkv::bench::CommandLine line;
  raftkv::bench::AddOptions(app, line);
  try {
    app.parse(argc, argv);
    raftkv::bench::Finish(app, line);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  return raftkv::bench::Run(line);
}
