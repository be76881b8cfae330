#include "client/bench/load_generator.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace raftkv::bench {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(5);

// About as many different words as a log or a catalogue has.
constexpr int kWords = 2000;

// A made-up word, the same for a number each time.
std::string Word(uint64_t number) {
  static constexpr char kSyllables[][4] = {"ka", "ro", "mi", "ten", "so", "lar", "ve", "un"};
  std::string word;
  for (uint64_t rest = number + 8; rest > 0; rest /= 8) {
    word += kSyllables[rest % 8];
  }
  return word;
}

// An object with a few fields, of exactly so many bytes.
std::string JsonValue(size_t bytes, Rng* rng) {
  std::string json = absl::StrCat(
      "{\"id\":", rng->Next(), ",\"created_at\":", 1'700'000'000'000 + rng->Below(100'000'000'000),
      ",\"active\":", rng->Below(2) == 0 ? "true" : "false", ",\"description\":\"");
  while (json.size() < bytes) {
    absl::StrAppend(&json, Word(rng->Below(kWords)), " ");
  }
  json.resize(bytes);
  if (bytes >= 2) {
    json.replace(bytes - 2, 2, "\"}");
  }
  return json;
}

const char* CodeName(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return "OK";
    case grpc::StatusCode::CANCELLED:
      return "CANCELLED";
    case grpc::StatusCode::UNKNOWN:
      return "UNKNOWN";
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    case grpc::StatusCode::NOT_FOUND:
      return "NOT_FOUND";
    case grpc::StatusCode::ALREADY_EXISTS:
      return "ALREADY_EXISTS";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "UNAUTHENTICATED";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case grpc::StatusCode::FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case grpc::StatusCode::ABORTED:
      return "ABORTED";
    case grpc::StatusCode::OUT_OF_RANGE:
      return "OUT_OF_RANGE";
    case grpc::StatusCode::UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case grpc::StatusCode::INTERNAL:
      return "INTERNAL";
    case grpc::StatusCode::UNAVAILABLE:
      return "UNAVAILABLE";
    case grpc::StatusCode::DATA_LOSS:
      return "DATA_LOSS";
    case grpc::StatusCode::DO_NOT_USE:
      break;
  }
  return "OTHER";
}

std::shared_ptr<grpc::Channel> NewChannel(
    const std::string& endpoint, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  // Without it channels to one address share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(endpoint, credentials, arguments);
}

}  // namespace

struct LoadGenerator::Request {
  std::unique_ptr<Slot> slot;
  std::string value;
  MonotonicNanos started = 0;
  bool get = false;
};

LoadGenerator::LoadGenerator(LoadOptions options, const Backend* backend)
    : options_(std::move(options)), backend_(backend), rng_(options_.seed) {
  CHECK(!options_.endpoints.empty());
  CHECK_GT(options_.connections, 0);
  CHECK_GT(options_.in_flight, 0);
  CHECK_GT(options_.keys, 0u);
}

LoadGenerator::~LoadGenerator() {
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

absl::Status LoadGenerator::Connect() {
  std::vector<std::string> endpoints;
  for (const std::string& endpoint : options_.endpoints) {
    const auto channel = NewChannel(endpoint, options_.credentials);
    if (!channel->WaitForConnected(std::chrono::system_clock::now() +
                                   absl::ToChronoNanoseconds(kConnectTimeout))) {
      return absl::UnavailableError(absl::StrCat("cannot connect to ", endpoint));
    }
    if (options_.leader_only) {
      RAFTKV_ASSIGN_OR_RETURN(const bool leads, backend_->IsLeader(channel, kConnectTimeout));
      if (!leads) continue;
    }
    endpoints.push_back(endpoint);
  }
  if (endpoints.empty()) return absl::UnavailableError("no endpoint leads the cluster");
  for (int i = 0; i < options_.connections; ++i) {
    channels_.push_back(NewChannel(endpoints[i % endpoints.size()], options_.credentials));
    if (!channels_.back()->WaitForConnected(std::chrono::system_clock::now() +
                                            absl::ToChronoNanoseconds(kConnectTimeout))) {
      return absl::UnavailableError(
          absl::StrCat("cannot connect to ", endpoints[i % endpoints.size()], " once more"));
    }
  }
  return absl::OkStatus();
}

std::vector<LoadGenerator::Request> LoadGenerator::NewRequests(int count) {
  std::vector<Request> requests(count);
  for (int i = 0; i < count; ++i) {
    requests[i].slot = backend_->NewSlot(channels_[i % channels_.size()], &queue_);
    requests[i].value.resize(options_.value_bytes);
    for (char& byte : requests[i].value) byte = static_cast<char>(rng_.Below(256));
  }
  return requests;
}

void LoadGenerator::Renew(std::string* value) {
  if (options_.values == ValueKind::kJson) {
    *value = JsonValue(options_.value_bytes, &rng_);
    return;
  }
  // A few fresh bytes make each value new without filling all of it again.
  const uint64_t fresh = rng_.Next();
  std::memcpy(value->data(), &fresh, std::min(sizeof(fresh), value->size()));
}

void LoadGenerator::Start(Request& request, bool get, uint64_t key) {
  char name[32];
  const int size =
      std::snprintf(name, sizeof(name), "bench-%010llu", static_cast<unsigned long long>(key));
  request.get = get;
  request.started = clock_.Now();
  if (get) {
    request.slot->StartGet({name, static_cast<size_t>(size)}, options_.timeout, &request);
    return;
  }
  Renew(&request.value);
  request.slot->StartPut({name, static_cast<size_t>(size)}, request.value, options_.timeout,
                         &request);
}

void LoadGenerator::StartRandom(Request& request) {
  const bool get = static_cast<int>(rng_.Below(100)) < options_.read_percent;
  Start(request, get, rng_.Below(options_.keys));
}

absl::StatusOr<LoadResult> LoadGenerator::Fill(int in_flight) {
  const int count = static_cast<int>(std::min<uint64_t>(in_flight, options_.keys));
  std::vector<Request> requests = NewRequests(count);
  const MonotonicNanos began = clock_.Now();
  LoadResult result;
  absl::Status failure;
  uint64_t next_key = 0;
  for (Request& request : requests) Start(request, false, next_key++);
  for (int outstanding = count; outstanding > 0;) {
    void* tag = nullptr;
    bool ok = false;
    CHECK(queue_.Next(&tag, &ok));
    Request& request = *static_cast<Request*>(tag);
    const grpc::Status& status = request.slot->status();
    if (status.ok()) {
      result.puts.Record(clock_.Now() - request.started);
    } else {
      failure.Update(absl::UnavailableError(
          absl::StrCat("fill: ", CodeName(status.error_code()), ": ", status.error_message())));
    }
    if (failure.ok() && next_key < options_.keys) {
      Start(request, false, next_key++);
    } else {
      --outstanding;
    }
  }
  RAFTKV_RETURN_IF_ERROR(failure);
  result.seconds = static_cast<double>(clock_.Now() - began) / 1e9;
  return result;
}

LoadResult LoadGenerator::Run() {
  LoadResult result;
  std::vector<Request> requests = NewRequests(options_.in_flight);
  const MonotonicNanos count_from = clock_.Now() + absl::ToInt64Nanoseconds(options_.warmup);
  const MonotonicNanos count_until = count_from + absl::ToInt64Nanoseconds(options_.duration);
  for (Request& request : requests) StartRandom(request);
  for (int outstanding = options_.in_flight; outstanding > 0;) {
    void* tag = nullptr;
    bool ok = false;
    CHECK(queue_.Next(&tag, &ok));
    Request& request = *static_cast<Request*>(tag);
    const MonotonicNanos now = clock_.Now();
    if (now >= count_from && now < count_until) {
      const grpc::Status& status = request.slot->status();
      if (!status.ok()) {
        ++result.errors[CodeName(status.error_code())];
      } else if (request.get && !request.slot->found()) {
        ++result.errors["KEY_MISSING"];
      } else {
        (request.get ? result.gets : result.puts).Record(now - request.started);
      }
    }
    if (now < count_until) {
      StartRandom(request);
    } else {
      --outstanding;
    }
  }
  result.seconds = absl::ToDoubleSeconds(options_.duration);
  return result;
}

}  // namespace raftkv::bench
