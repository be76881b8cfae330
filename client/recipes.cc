#include "client/recipes.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace raftkv {
namespace {

// How often somebody who waits sees whether it may go on waiting.
constexpr absl::Duration kLookInterval = absl::Milliseconds(500);

std::string PrefixOf(absl::string_view name) { return absl::StrCat(name, "/"); }

// The key under a prefix that was created last before `before`, or first of all; nullopt: none.
struct Queue {
  std::optional<KeyValue> first;
  std::optional<KeyValue> last_before;
  int64_t revision = 0;  // Everything up to there is in it.
};

absl::StatusOr<Queue> ReadQueue(Client* client, absl::string_view name, int64_t before) {
  Queue queue;
  const std::string prefix = PrefixOf(name);
  // Pages have revisions of their own: what changes after the first one is told by a watch from
  // there on.
  const absl::Status read =
      client->ListAll(Prefix{prefix}, {.page_size = 1000}, [&](const ListResult& page) {
        queue.revision = queue.revision == 0 ? page.header.revision : queue.revision;
        for (const KeyValue& kv : page.kvs) {
          // Of "a/b", which is another lock than "a".
          if (kv.key.find('/', prefix.size()) != std::string::npos) {
            continue;
          }
          if (!queue.first.has_value() || kv.create_revision < queue.first->create_revision) {
            queue.first = kv;
          }
          if (kv.create_revision < before &&
              (!queue.last_before.has_value() ||
               kv.create_revision > queue.last_before->create_revision)) {
            queue.last_before = kv;
          }
        }
        return true;
      });
  RAFTKV_RETURN_IF_ERROR(read);
  return queue;
}

// Waits until a key is gone, as of some revision after `revision`; until `check` fails.
absl::Status AwaitRemoval(Client* client, const std::string& key, int64_t revision,
                          const std::function<absl::Status()>& check) {
  absl::Status problem;
  WatchOptions options;
  options.start_revision = revision + 1;
  options.event_types = {EventType::kDelete, EventType::kExpire};
  options.keys_only = true;
  options.heartbeat_interval = kLookInterval;
  const absl::Status watched =
      client->Watch({SingleKey{key}}, options, [&](const WatchUpdate& update) {
        problem = check();
        return problem.ok() && update.events.empty();
      });
  RAFTKV_RETURN_IF_ERROR(problem);
  // The history may not reach back to there any more, when reading the queue took long.
  return absl::IsOutOfRange(watched) ? absl::OkStatus() : watched;
}

}  // namespace

Lock::Lock(Client client, std::unique_ptr<LeaseKeeper> keeper, std::string key,
           int64_t fencing_token)
    : client_(std::move(client)),
      keeper_(std::move(keeper)),
      key_(std::move(key)),
      fencing_token_(fencing_token) {}

absl::StatusOr<std::unique_ptr<Lock>> Lock::Acquire(Client client, absl::string_view name,
                                                    const LockOptions& options) {
  if (name.empty()) {
    return absl::InvalidArgumentError("the lock's name is empty");
  }
  const SystemMonotonicClock clock;
  const MonotonicNanos begun = clock.Now();
  RAFTKV_ASSIGN_OR_RETURN(std::unique_ptr<LeaseKeeper> keeper,
                          LeaseKeeper::Grant(client, options.ttl));
  const auto check = [&]() -> absl::Status {
    RAFTKV_RETURN_IF_ERROR(keeper->Check());
    if (options.cancelled != nullptr && options.cancelled()) {
      return absl::CancelledError("the wait for the lock was given up");
    }
    if (options.wait.has_value() && absl::Nanoseconds(clock.Now() - begun) >= *options.wait) {
      return absl::DeadlineExceededError(absl::StrCat("\"", name, "\" was held by others for ",
                                                      absl::FormatDuration(*options.wait)));
    }
    return absl::OkStatus();
  };
  std::string key = absl::StrCat(PrefixOf(name), absl::Hex(keeper->id(), absl::kZeroPad16));
  // The lease is new, so nobody has written that key.
  RAFTKV_ASSIGN_OR_RETURN(
      const PutResult put,
      client.Put(key, options.value,
                 {.lease_id = keeper->id(), .precondition = KeyExists{.expected = false}}));
  const int64_t own = put.mod_revision;
  while (true) {
    RAFTKV_ASSIGN_OR_RETURN(const Queue queue, ReadQueue(&client, name, own));
    if (!queue.last_before.has_value()) {
      break;
    }
    RAFTKV_RETURN_IF_ERROR(check());
    RAFTKV_RETURN_IF_ERROR(AwaitRemoval(&client, queue.last_before->key, queue.revision, check));
  }
  RAFTKV_RETURN_IF_ERROR(keeper->Check());
  return std::unique_ptr<Lock>(new Lock(std::move(client), std::move(keeper), std::move(key), own));
}

Guard Lock::StillHeld() const {
  return {.range = SingleKey{key_}, .target = CreateRevisionIs{fencing_token_}};
}

absl::Status Lock::Proclaim(absl::string_view value) {
  const Txn txn{
      .guards = {StillHeld()},
      .then_ops = {
          PutOp{.key = key_, .value = std::string(value), .options = {.lease_id = keeper_->id()}}}};
  RAFTKV_ASSIGN_OR_RETURN(const TxnResult result, client_.Run(txn));
  return result.succeeded ? absl::OkStatus()
                          : absl::AbortedError(absl::StrCat(key_, " is lost: its lease has ended"));
}

absl::StatusOr<std::optional<KeyValue>> FindHolder(Client client, absl::string_view name) {
  RAFTKV_ASSIGN_OR_RETURN(Queue queue, ReadQueue(&client, name, /*before=*/0));
  return std::move(queue.first);
}

}  // namespace raftkv
