#include "tests/chaos/clients.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/recorded_call.h"

namespace raftkv::chaos {
namespace {

using integration::Clock;
using integration::Millis;
using integration::NodeClient;
using linearizability::Answer;
using linearizability::Kind;
using linearizability::Operation;
using linearizability::Outcome;

constexpr std::chrono::seconds kEpoch(20);
constexpr uint64_t kRegisters = 8;
constexpr uint64_t kTtlKeys = 2;
constexpr int64_t kTtlMinNanos = 500'000'000;
constexpr int64_t kTtlMaxNanos = 3'000'000'000;
constexpr int64_t kPaddingBytesMax = 600;
constexpr int64_t kLargeBytesMin = 64 << 10;
constexpr int64_t kLargeBytesMax = 1 << 20;
constexpr Millis kLargeTimeout(10'000);
constexpr Millis kLargePause(10'000);
// A final read meets a cluster that is well.
constexpr Millis kFinalReadTimeout(10'000);
// The liar's share of writes that it does not send.
constexpr uint64_t kLiesPermille = 20;

}  // namespace

Clients::Clients(integration::TestCluster* cluster, const ClientOptions& options)
    : cluster_(cluster), options_(options) {
  for (size_t i = 0; i < options.count; ++i) {
    clients_.push_back({.number = static_cast<int64_t>(i),
                        .dice = simulation::Dice(options.seed, absl::StrCat("client ", i)),
                        .next_large = {},
                        .seen_revisions = {},
                        .acknowledged_once = {}});
  }
  write_progress_.Expect();
  for (Client& client : clients_) {
    threads_.emplace_back([this, &client] { Run(&client); });
  }
}

Clients::~Clients() { Finish(); }

void Clients::Pause() {
  MutexLock lock(&mutex_);
  paused_ = true;
  while (calling_ > 0) {
    changed_.Wait(&mutex_);
  }
  write_progress_.Stop();
}

void Clients::Resume() {
  MutexLock lock(&mutex_);
  paused_ = false;
  write_progress_.Expect();
  changed_.NotifyAll();
}

void Clients::Finish() {
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
}

void Clients::Run(Client* client) {
  while (true) {
    {
      MutexLock lock(&mutex_);
      while (paused_ && !stopped_) {
        changed_.Wait(&mutex_);
      }
      if (stopped_) {
        return;
      }
      ++calling_;
    }
    CallOnce(client);
    {
      MutexLock lock(&mutex_);
      --calling_;
      changed_.NotifyAll();
    }
    std::this_thread::sleep_for(options_.pause);
  }
}

void Clients::CallOnce(Client* client) {
  NodeClient* node = &cluster_->client(client->dice.Below(cluster_->size()));
  if (large_values_ && client->number == 0 && Clock::now() >= client->next_large) {
    Do(client, LargePut(client), node, kLargeTimeout);
    client->next_large = Clock::now() + kLargePause;
    return;
  }
  static const std::vector<Millis> kTimeouts = {Millis(250), Millis(1000), Millis(3000)};
  const Millis timeout = client->dice.Pick(kTimeouts);
  Do(client, NextOperation(client), node, timeout);
}

std::string Clients::KeyOfNow(char family, uint64_t number) const {
  const auto epoch = (Clock::now() - start_) / kEpoch;
  return absl::StrCat(std::string(1, family), "/", epoch, "/", number);
}

Operation Clients::NextOperation(Client* client) {
  simulation::Dice& dice = client->dice;
  const uint64_t draw = dice.Below(100);
  const bool with_ttl = options_.ttl_keys && dice.Chance(150);
  Operation operation{.client = client->number,
                      .key = with_ttl ? KeyOfNow('t', dice.Below(kTtlKeys))
                                      : KeyOfNow('r', dice.Below(kRegisters))};
  if (draw < 45) {
    operation.kind = Kind::kGet;
    return operation;
  }
  if (draw < 52) {
    operation.kind = Kind::kDelete;
    return operation;
  }
  operation.kind = Kind::kPut;
  operation.value = absl::StrCat(client->number, ".", client->next_value++);
  if (draw < 70) {
    operation.key = absl::StrCat("o/", client->number, "/", client->next_value);
    operation.value.append(static_cast<size_t>(dice.Between(0, kPaddingBytesMax)), 'v');
  } else if (with_ttl) {
    operation.ttl = dice.Between(kTtlMinNanos, kTtlMaxNanos);
  } else if (draw < 80) {
    operation.expected_revision = client->seen_revisions[operation.key];
  }
  return operation;
}

Operation Clients::LargePut(Client* client) {
  const auto bytes = static_cast<size_t>(client->dice.Between(kLargeBytesMin, kLargeBytesMax));
  Operation operation{.client = client->number,
                      .key = absl::StrCat("o/", client->number, "/", client->next_value)};
  operation.kind = Kind::kPut;
  operation.value = absl::StrCat(client->number, ".", client->next_value++);
  operation.value.resize(bytes, 'v');
  return operation;
}

void Clients::Do(Client* client, Operation operation, NodeClient* node, Millis timeout) {
  const size_t number = recorder_.Begin(operation, integration::HistoryNow());
  const bool lies =
      options_.lie && operation.kind == Kind::kPut && client->dice.Chance(kLiesPermille);
  const Answer answer =
      lies ? Answer{.outcome = Outcome::kOk} : integration::Call(operation, node, timeout);
  recorder_.End(number, answer, integration::HistoryNow());
  ++outcomes_[static_cast<size_t>(answer.outcome)];
  Remember(client, operation, answer);
}

void Clients::Remember(Client* client, const Operation& operation, const Answer& answer) {
  if (answer.mod_revision.has_value()) {
    client->seen_revisions[operation.key] = *answer.mod_revision;
  }
  if (operation.kind == Kind::kGet || answer.outcome != Outcome::kOk) {
    return;
  }
  ++acknowledged_writes_;
  write_progress_.Note();
  if (operation.key[0] == 'o') {
    client->acknowledged_once[operation.key] = operation.value;
  }
}

bool Clients::ReadEverything() {
  std::set<std::string> keys;
  for (const Operation& operation : recorder_.history()) {
    if (operation.key[0] != 'o') {
      keys.insert(operation.key);
    }
  }
  bool complete = true;
  Client* const reader = &clients_.front();
  for (const std::string& key : keys) {
    const uint64_t failed_before = counts().failed;
    NodeClient* node = &cluster_->client(reader->dice.Below(cluster_->size()));
    Do(reader, {.client = reader->number, .kind = Kind::kGet, .key = key}, node, kFinalReadTimeout);
    complete = complete && counts().failed == failed_before;
  }
  return complete;
}

std::optional<Millis> Clients::AwaitWrite(Millis timeout) const {
  const Clock::time_point start = Clock::now();
  const uint64_t before = acknowledged_writes_;
  if (!integration::WaitUntil(
          timeout, [&] { return acknowledged_writes_ > before; }, Millis(5))) {
    ADD_FAILURE() << "no write is acknowledged in " << timeout.count() << " ms";
    return std::nullopt;
  }
  return integration::Since(start);
}

Clients::OnceWrites Clients::AcknowledgedOnce() const {
  OnceWrites all;
  for (const Client& client : clients_) {
    all.insert(client.acknowledged_once.begin(), client.acknowledged_once.end());
  }
  return all;
}

Clients::Counts Clients::counts() const {
  const auto of = [&](Outcome outcome) { return outcomes_[static_cast<size_t>(outcome)].load(); };
  return {.ok = of(Outcome::kOk),
          .precondition_failed = of(Outcome::kPreconditionFailed),
          .failed = of(Outcome::kFailed),
          .unknown = of(Outcome::kUnknown)};
}

}  // namespace raftkv::chaos
