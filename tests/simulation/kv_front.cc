#include "tests/simulation/kv_front.h"

#include <glog/logging.h>

#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "kv/command_semantics.h"
#include "kv/errors.h"

namespace raftkv::simulation {

using log::v1::CommandOutcome;

namespace {

Reply::Status StatusOf(const std::string& reason) {
  static const auto* statuses =
      new std::map<std::string, Reply::Status>{{"NO_LEADER", Reply::Status::kNoLeader},
                                               {"SHUTTING_DOWN", Reply::Status::kShuttingDown},
                                               {"OVERLOADED", Reply::Status::kOverloaded},
                                               {"DISK_FULL", Reply::Status::kDiskFull},
                                               {"REQUEST_ID_REUSED", Reply::Status::kOverloaded},
                                               {"TOO_STALE", Reply::Status::kOverloaded},
                                               {"OUTCOME_UNKNOWN", Reply::Status::kOutcomeUnknown}};
  const auto found = statuses->find(reason);
  CHECK(found != statuses->end()) << reason;
  return found->second;
}

template <typename Number>
Number NumberIn(const google::rpc::ErrorInfo& info, const std::string& key) {
  Number number = 0;
  CHECK(absl::SimpleAtoi(info.metadata().at(key), &number)) << info.ShortDebugString();
  return number;
}

// What a client can tell of the outcome from an error, and whether it was applied at all.
Reply ReplyTo(const absl::Status& error) {
  Reply reply;
  if (absl::IsDeadlineExceeded(error)) {
    reply.status = Reply::Status::kOverloaded;
    return reply;
  }
  const auto info = kv::FindErrorInfo(error);
  CHECK(info.has_value()) << error;
  if (info->reason() == "PRECONDITION_FAILED") {
    reply.outcome.set_verdict(CommandOutcome::VERDICT_GUARD_FAILED);
    reply.outcome.set_current_mod_revision(NumberIn<int64_t>(*info, "mod_revision"));
  } else if (info->reason() == "RANGE_TOO_LARGE") {
    reply.outcome.set_verdict(CommandOutcome::VERDICT_RANGE_TOO_LARGE);
    reply.outcome.set_exceeding(NumberIn<uint64_t>(*info, "size"));
  } else if (info->reason() == "NOT_AN_INTEGER") {
    reply.outcome.set_verdict(CommandOutcome::VERDICT_NOT_AN_INTEGER);
  } else if (info->reason() == "INTEGER_OVERFLOW") {
    reply.outcome.set_verdict(CommandOutcome::VERDICT_INTEGER_OVERFLOW);
  } else if (info->reason() == "LEASE_NOT_FOUND") {
    reply.outcome.set_verdict(CommandOutcome::VERDICT_LEASE_NOT_FOUND);
  } else if (info->reason() == "LEASE_EXISTS") {
    reply.outcome.set_verdict(CommandOutcome::VERDICT_LEASE_EXISTS);
  } else if (info->reason() == "TOO_MANY_LEASES") {
    reply.outcome.set_verdict(CommandOutcome::VERDICT_LEASES_FULL);
  } else if (info->reason() == "LEASE_FULL") {
    reply.outcome.set_verdict(CommandOutcome::VERDICT_LEASE_KEYS_FULL);
  } else {
    reply.status = StatusOf(info->reason());
  }
  return reply;
}

}  // namespace

void KvFront::Handle(Request request, ReplyCallback done) {
  if (request.kind == RequestKind::kWrite) {
    HandleWrite(request, std::move(done));
    return;
  }
  if (request.linearizable) {
    done = [this, term = member_.driver().core().term(), done = std::move(done)](Reply reply) {
      if (reply.status == Reply::Status::kOk && member_.driver().core().term() != term) {
        counters_.Note(Situation::kReadAcrossLeaderChange);
      }
      done(std::move(reply));
    };
  }
  if (request.kind == RequestKind::kGet) {
    member_.store().Get(request.key, FreshnessOf(request),
                        [done = std::move(done)](absl::StatusOr<kv::Store::Found> found) {
                          if (!found.ok()) {
                            done(ReplyTo(found.status()));
                            return;
                          }
                          Reply reply{.revision = found->at.revision, .applied = found->at.applied};
                          if (found->record.has_value()) {
                            reply.rows.push_back(*std::move(found->record));
                          }
                          done(std::move(reply));
                        });
    return;
  }
  member_.store().Scan(std::move(request.scan), FreshnessOf(request),
                       [done = std::move(done)](absl::StatusOr<kv::Store::Page> page) {
                         if (!page.ok()) {
                           done(ReplyTo(page.status()));
                           return;
                         }
                         done({.rows = std::move(page->keys.rows),
                               .more = page->keys.more,
                               .revision = page->at.revision,
                               .applied = page->at.applied});
                       });
}

kv::ReadFreshness KvFront::FreshnessOf(const Request& request) const {
  return {.linearizable = request.linearizable,
          .min_revision = 0,
          .deadline = clock_.Now() + request.timeout};
}

void KvFront::HandleWrite(const Request& request, ReplyCallback done) {
  member_.store().Write(request.command, clock_.Now() + request.timeout,
                        [this, adds_data = kv::AddsData(request.command),
                         done = std::move(done)](absl::StatusOr<CommandOutcome> outcome) {
                          if (outcome.ok()) {
                            if (!adds_data && !member_.driver().LowOnDisk().empty()) {
                              counters_.Note(Situation::kDeletedOnFullDisk);
                            }
                            done({.outcome = *std::move(outcome)});
                          } else {
                            done(ReplyTo(outcome.status()));
                          }
                        });
}

}  // namespace raftkv::simulation
