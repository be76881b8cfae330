#include "tests/simulation/clients.h"

#include <glog/logging.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/simulation/command_tag.h"
#include "tests/simulation/fingerprints.h"

namespace raftkv::simulation {

using log::v1::Guard;
using log::v1::Operation;
using log::v1::StoredKeyValue;
using log::v1::Txn;
using raft::NodeId;

namespace {

// Keys of both kinds are used alike, but only the second see transactions of several operations,
// deletions of ranges, and whatever else the checker of single keys (tests/linearizability) has no
// word for.
constexpr char kPlainPrefix[] = "a/";
constexpr char kRichPrefix[] = "b/";
// Of transactions with two branches, which the checker has no word for at all: numbers, mostly, and
// others.
constexpr char kCounterPrefix[] = "c/";
constexpr char kBranchPrefix[] = "d/";
constexpr SimTime kClientDelayMax = 500'000;
constexpr uint64_t kValueBytesMax = 120;
// Of the requests that are dropped, those that arrive all the same, late.
constexpr uint64_t kLatePermille = 500;

}  // namespace

Clients::Clients(const SimOptions* options, Scheduler* scheduler, Trace* trace, Cluster* cluster,
                 Counters* counters)
    : options_(*options),
      scheduler_(*scheduler),
      trace_(*trace),
      cluster_(*cluster),
      counters_(*counters),
      dice_(options->seed, "clients"),
      leases_(options),
      nodes_(cluster->ids()),
      timeout_(options->timeout),
      wanted_(options->operations) {
  operations_.reserve(options->operations * 2);
  cluster_.set_on_gone([this](NodeId node, bool silently) { OnNodeGone(node, silently); });
}

void Clients::Start() {
  for (uint64_t client = 1; client <= options_.clients; ++client) {
    ThinkThenAct(client);
  }
}

void Clients::ThinkThenAct(uint64_t client) {
  scheduler_.After(dice_.Between(0, options_.think_max), [this, client] {
    if (begun_ == wanted_) {
      idle_.push_back(client);
      return;
    }
    ++begun_;
    Ask(DrawRequest(), dice_.Pick(nodes_), [this, client](const ClientOperation&) {
      ++ended_;
      ThinkThenAct(client);
    });
    operations_.back().client = client;
  });
}

void Clients::GoOn(uint64_t operations, std::vector<NodeId> nodes, MonotonicNanos timeout) {
  CHECK(finished());
  nodes_ = std::move(nodes);
  timeout_ = timeout;
  wanted_ += operations;
  for (const uint64_t client : std::exchange(idle_, {})) {
    ThinkThenAct(client);
  }
}

void Clients::Ask(Request request, NodeId node, std::function<void(const ClientOperation&)> done) {
  const size_t place = operations_.size();
  ClientOperation& operation = operations_.emplace_back();
  on_done_.push_back(std::move(done));
  tries_.push_back(0);
  request.number = place + 1;
  if (request.kind == RequestKind::kWrite && !request.command.has_txn()) {
    Tag(request.number, &request.command);
    if (request.command.has_grant_lease()) {
      request.command.mutable_request()->set_id(absl::StrCat("id", request.number));
    }
  } else if (request.kind == RequestKind::kWrite) {
    Operation* const first = request.command.mutable_txn()->mutable_operations(0);
    for (Operation& each : *request.command.mutable_txn()->mutable_operations()) {
      if (each.has_put()) {
        each.mutable_put()->set_value(TaggedValue(request.number,
                                                  &each == first ? dice_.Below(kValueBytesMax) : 0,
                                                  options_.value_filler));
      }
    }
    Tag(request.number, &request.command);
    if (request.command.has_request()) {
      log::v1::RequestMark* const mark = request.command.mutable_request();
      mark->set_content_hash(request.number);
      if (mark->id().empty()) {
        mark->set_id(absl::StrCat("id", request.number));
      }
    }
  }
  operation.request = std::move(request);
  operation.node = node;
  operation.invoked = scheduler_.now();
  operation.floor = cluster_.answers().floor();
  trace_.Add({node.value(), FingerprintOf(operation.request)}, [&] {
    const Request& asked = operation.request;
    const std::string what =
        asked.kind == RequestKind::kWrite ? asked.command.ShortDebugString()
        : asked.kind == RequestKind::kGet
            ? absl::StrCat(asked.linearizable ? "get " : "stale get ", asked.key)
            : absl::StrCat(asked.linearizable ? "list [" : "stale list [",
                           asked.scan.interval.start, ", ", asked.scan.interval.end, ")");
    return absl::StrCat("op ", place + 1, " at n", node.value(), ": ", what);
  });
  Send(place);
}

void Clients::Send(size_t place) {
  const ClientOperation& operation = operations_[place];
  const uint64_t number = ++tries_[place];
  SimTime delay = dice_.Between(0, kClientDelayMax);
  if (IsDropped()) {
    delay = dice_.Chance(kLatePermille) ? dice_.Between(0, 2 * operation.request.timeout) : -1;
  }
  if (delay >= 0) {
    scheduler_.After(delay, [this, place] { Deliver(place); });
  }
  // The client gives up a little after the node should have.
  scheduler_.After(operation.request.timeout + dice_.Between(0, options_.ElectionTimeout()),
                   [this, place, number] {
                     if (tries_[place] == number) {
                       TryAgainOrFinish(place);
                     }
                   });
}

void Clients::TryAgainOrFinish(size_t place) {
  ClientOperation& operation = operations_[place];
  if (operation.done) {
    return;
  }
  if (!MayComeTwice(operation.request.command) || tries_[place] >= options_.request_tries_max) {
    Finish(place, std::nullopt);
    return;
  }
  operation.node = dice_.Pick(nodes_);
  Send(place);
}

void Clients::Deliver(size_t place) {
  const ClientOperation& operation = operations_[place];
  SimNode& node = cluster_.node(operation.node);
  if (!node.is_up()) {
    // The connection is refused: nothing was sent.
    if (operation.request.kind == RequestKind::kWrite && !operation.done) {
      OnReply(place, {.status = Reply::Status::kNoLeader});
    }
    return;
  }
  node.Handle(operation.request, [this, place](Reply reply) { OnReply(place, std::move(reply)); });
}

void Clients::OnReply(size_t place, Reply reply) {
  cluster_.answers().OnAnswered(operations_[place].request, reply);
  if (IsDropped()) {
    return;
  }
  scheduler_.After(dice_.Between(0, kClientDelayMax), [this, place, reply = std::move(reply)] {
    // Once it was tried twice, a refusal says nothing of the other try.
    const bool refused = reply.status != Reply::Status::kOk && tries_[place] > 1;
    if (reply.status == Reply::Status::kOutcomeUnknown || refused) {
      TryAgainOrFinish(place);
    } else {
      Finish(place, reply);
    }
  });
}

void Clients::Finish(size_t place, std::optional<Reply> reply) {
  ClientOperation& operation = operations_[place];
  if (operation.done) {
    return;
  }
  operation.done = true;
  operation.completed = scheduler_.now();
  operation.unknown = !reply.has_value();
  trace_.Add({place, reply.has_value() ? FingerprintOf(*reply) : 0}, [&] {
    if (!reply.has_value()) {
      return absl::StrCat("op ", place + 1, " -> unknown");
    }
    std::string text =
        absl::StrCat("op ", place + 1, " -> status ", static_cast<int>(reply->status), " ",
                     reply->outcome.ShortDebugString());
    for (const StoredKeyValue& row : reply->rows) {
      absl::StrAppend(&text, "{", row.ShortDebugString(), "}");
    }
    return text;
  });
  if (reply.has_value()) {
    cluster_.answers().OnReceived(operation.request, *reply, operation.floor);
    for (const StoredKeyValue& row : reply->rows) {
      seen_revisions_[row.key()] = row.mod_revision();
    }
    operation.reply = *std::move(reply);
  }
  if (auto done = std::exchange(on_done_[place], nullptr); done) {
    done(operations_[place]);
  }
}

void Clients::OnNodeGone(NodeId node, bool silently) {
  // A machine without power says nothing: its clients wait until they have waited enough.
  if (silently) {
    return;
  }
  for (size_t place = 0; place < operations_.size(); ++place) {
    if (!operations_[place].done && operations_[place].node == node) {
      scheduler_.After(dice_.Between(0, kClientDelayMax),
                       [this, place] { TryAgainOrFinish(place); });
    }
  }
}

std::vector<std::string> Clients::keys() const {
  std::vector<std::string> keys;
  for (uint64_t number = 0; number < options_.keys; ++number) {
    keys.push_back(absl::StrCat(kPlainPrefix, number));
    keys.push_back(absl::StrCat(kRichPrefix, number));
  }
  return keys;
}

bool Clients::IsWrittenAlone(absl::string_view key) { return absl::StartsWith(key, kPlainPrefix); }

std::string Clients::DrawKey() {
  return absl::StrCat(dice_.Chance(600) ? kPlainPrefix : kRichPrefix, dice_.Below(options_.keys));
}

Request Clients::DrawPlainPut() {
  Request request{.kind = RequestKind::kWrite, .timeout = timeout_};
  log::v1::PutOperation* put = request.command.mutable_txn()->add_operations()->mutable_put();
  put->set_key(absl::StrCat(kPlainPrefix, dice_.Below(options_.keys)));
  return request;
}

Request Clients::ListAll() const {
  return {.kind = RequestKind::kList,
          .scan = {.interval = {}, .keys_max = 1000, .bytes_max = 1 << 20},
          .timeout = timeout_};
}

Request Clients::DrawRequest() {
  if (!dice_.Chance(options_.read_permille)) {
    return DrawWrite();
  }
  Request request{.linearizable = dice_.Chance(700), .timeout = timeout_};
  if (dice_.Chance(250)) {
    request.kind = RequestKind::kList;
    DrawRange(&request.scan.interval.start, &request.scan.interval.end);
    request.scan.keys_max = 1 + dice_.Below(2 * options_.keys);
    request.scan.bytes_max = 1 << 20;
    request.scan.descending = dice_.Chance(300);
  } else {
    request.kind = RequestKind::kGet;
    request.key = DrawKey();
  }
  return request;
}

Request Clients::DrawWrite() {
  Request request{.kind = RequestKind::kWrite, .timeout = timeout_};
  if (leases_.DrawCommand(&request.command)) {
    return request;
  }
  Txn* const txn = request.command.mutable_txn();
  if (dice_.Chance(options_.request_permille)) {
    DrawMark(&request.command);
  }
  if (dice_.Chance(200)) {
    DrawBranches(txn);
    return request;
  }
  const std::string key = DrawKey();
  if (dice_.Chance(250)) {
    DrawGuard(key, txn);
  }
  dice_.Chance(200) ? DrawDelete(key, txn->add_operations()) : DrawPut(key, txn->add_operations());
  // What is rolled back when its second half is refused.
  if (absl::StartsWith(key, kRichPrefix) && dice_.Chance(150)) {
    const std::string second = absl::StrCat(kRichPrefix, dice_.Below(options_.keys));
    dice_.Chance(500) ? DrawDelete(second, txn->add_operations())
                      : DrawPut(second, txn->add_operations());
  }
  return request;
}

void Clients::DrawMark(log::v1::Command* command) {
  log::v1::RequestMark* const mark = command->mutable_request();
  mark->set_keep_ms(options_.request_keep_ms);
  mark->set_ids_max(options_.request_ids_max);
  mark->set_bytes_max(1 << 30);
  if (dice_.Chance(30) && !operations_.empty()) {
    mark->set_id(absl::StrCat("id", 1 + dice_.Below(operations_.size())));
  }
}

void Clients::DrawBranches(Txn* txn) {
  txn->set_has_else(true);
  for (uint64_t guards = dice_.Below(3); guards > 0; --guards) {
    DrawRichGuard(txn);
  }
  // The first one carries the tag.
  DrawPut(absl::StrCat(kBranchPrefix, dice_.Below(options_.keys)), txn->add_operations());
  leases_.MaybeHang(txn->mutable_operations(0));
  for (uint64_t operations = dice_.Below(4); operations > 0; --operations) {
    DrawRichOperation(/*depth=*/0, txn->add_operations());
  }
  for (uint64_t operations = dice_.Below(4); operations > 0; --operations) {
    DrawRichOperation(/*depth=*/0, txn->add_else_operations());
  }
}

void Clients::DrawRichGuard(Txn* txn) {
  const std::string key =
      absl::StrCat(dice_.Chance(500) ? kBranchPrefix : kCounterPrefix, dice_.Below(options_.keys));
  DrawGuard(key, txn);
  Guard* const guard = txn->mutable_guards(txn->guards_size() - 1);
  if (dice_.Chance(200)) {
    guard->set_create_revision(seen_revisions_[key]);
  }
  if (!guard->has_exists() && dice_.Chance(500)) {
    guard->set_comparison(static_cast<log::v1::Comparison>(dice_.Below(5)));
  }
  if (dice_.Chance(200)) {
    guard->set_is_range(true);
    guard->set_end_key(dice_.Chance(300) ? "" : absl::StrCat(kBranchPrefix, "z"));
  }
  leases_.MaybeLook(guard);
}

void Clients::DrawRichOperation(int depth, Operation* operation) {
  const std::string key =
      absl::StrCat(dice_.Chance(500) ? kBranchPrefix : kCounterPrefix, dice_.Below(options_.keys));
  const std::string counter = absl::StrCat(kCounterPrefix, dice_.Below(options_.keys));
  const uint64_t ttl_ms = 1 + dice_.Below(options_.ttl_ms_max);
  switch (dice_.Below(depth < 2 ? 8 : 7)) {
    case 0:
      DrawPut(key, operation);
      operation->mutable_put()->set_value(dice_.Chance(500) ? "7" : "seven");
      break;
    case 1:
      DrawDelete(key, operation);
      operation->mutable_delete_()->set_previous_bytes_max(0);
      break;
    case 2:
      operation->mutable_get()->set_key(key);
      break;
    case 3: {
      log::v1::ListOperation* const list = operation->mutable_list();
      DrawRange(list->mutable_start_key(), list->mutable_end_key());
      list->set_keys_max(1 + dice_.Below(2 * options_.keys));
      list->set_bytes_max(1 << 20);
      list->set_descending(dice_.Chance(300));
      list->set_keys_only(dice_.Chance(200));
      list->set_count_only(dice_.Chance(200));
      break;
    }
    case 4:
      operation->mutable_touch()->set_key(key);
      dice_.Chance(700) ? operation->mutable_touch()->set_ttl_ms(ttl_ms)
                        : operation->mutable_touch()->set_persist(true);
      break;
    case 7: {
      Txn* const within = operation->mutable_txn();
      within->set_has_else(true);
      DrawRichGuard(within);
      DrawRichOperation(depth + 1, within->add_operations());
      DrawRichOperation(depth + 1, within->add_else_operations());
      break;
    }
    default:
      operation->mutable_increment()->set_key(counter);
      operation->mutable_increment()->set_delta(
          dice_.Chance(50) ? std::numeric_limits<int64_t>::max() : dice_.Between(-3, 5));
      operation->mutable_increment()->set_initial(dice_.Between(0, 2));
      if (dice_.Chance(options_.ttl_permille)) {
        operation->mutable_increment()->set_ttl_ms(ttl_ms);
      }
  }
  leases_.MaybeHang(operation);
}

void Clients::DrawGuard(const std::string& key, Txn* txn) {
  Guard* const guard = txn->add_guards();
  guard->set_key(key);
  const int64_t revision = seen_revisions_[key];
  if (absl::StartsWith(key, kPlainPrefix)) {
    guard->set_mod_revision(dice_.Chance(200) ? 0 : revision);
    return;
  }
  switch (dice_.Below(4)) {
    case 0:
      guard->set_exists(dice_.Chance(500));
      break;
    case 1:
      guard->set_mod_revision(revision);
      break;
    case 2:
      guard->set_version(dice_.Between(0, 3));
      break;
    default:
      guard->set_value(TaggedValue(1 + dice_.Below(operations_.size() + 1), 0, /*filler=*/'.'));
  }
}

void Clients::DrawPut(const std::string& key, Operation* operation) {
  log::v1::PutOperation* const put = operation->mutable_put();
  put->set_key(key);
  put->set_return_previous(dice_.Chance(200));
  if (dice_.Chance(options_.ttl_permille)) {
    put->set_ttl_ms(1 + dice_.Below(options_.ttl_ms_max));
  } else if (absl::StartsWith(key, kRichPrefix) && dice_.Chance(300)) {
    put->set_keep_ttl(true);
  }
}

void Clients::DrawDelete(const std::string& key, Operation* operation) {
  log::v1::DeleteOperation* const deletion = operation->mutable_delete_();
  deletion->set_return_previous(dice_.Chance(300));
  if (absl::StartsWith(key, kPlainPrefix) || dice_.Chance(400)) {
    deletion->set_start_key(key);
    deletion->set_end_key(key + std::string(1, '\0'));
    return;
  }
  deletion->set_start_key(key);
  deletion->set_end_key(dice_.Chance(300) ? "" : absl::StrCat(kRichPrefix, "z"));
  deletion->set_limit(dice_.Below(3));
  deletion->set_keys_max(dice_.Below(4));
}

void Clients::DrawRange(std::string* start, std::string* end) {
  switch (dice_.Below(3)) {
    case 0:
      break;
    case 1:
      *start = DrawKey();
      break;
    default:
      *start = kPlainPrefix;
      *end = kRichPrefix;
  }
}

}  // namespace raftkv::simulation
