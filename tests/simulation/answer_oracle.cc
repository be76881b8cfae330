#include "tests/simulation/answer_oracle.h"

#include <glog/logging.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/command_tag.h"

namespace raftkv::simulation {

using log::v1::CommandOutcome;
using log::v1::StoredKeyValue;
using raft::LogIndex;

namespace {

// An error says less than the outcome that it stands for.
CommandOutcome WhatClientsHearOf(const CommandOutcome& outcome) {
  CommandOutcome heard;
  switch (outcome.verdict()) {
    case CommandOutcome::VERDICT_GUARD_FAILED:
      heard.set_verdict(outcome.verdict());
      heard.set_current_mod_revision(outcome.current_mod_revision());
      return heard;
    case CommandOutcome::VERDICT_RANGE_TOO_LARGE:
      heard.set_verdict(outcome.verdict());
      heard.set_exceeding(outcome.exceeding());
      return heard;
    case CommandOutcome::VERDICT_NOT_AN_INTEGER:
    case CommandOutcome::VERDICT_INTEGER_OVERFLOW:
    case CommandOutcome::VERDICT_LEASE_NOT_FOUND:
    case CommandOutcome::VERDICT_LEASE_EXISTS:
    case CommandOutcome::VERDICT_LEASES_FULL:
    case CommandOutcome::VERDICT_LEASE_KEYS_FULL:
      heard.set_verdict(outcome.verdict());
      return heard;
    default:
      return outcome;
  }
}

StoredKeyValue ToStored(const std::string& key, const kv::KvRecord& record) {
  StoredKeyValue stored;
  stored.set_key(key);
  stored.set_value(record.value);
  stored.set_create_revision(record.header.create_revision);
  stored.set_mod_revision(record.header.mod_revision);
  stored.set_version(record.header.version);
  stored.set_deadline_ms(record.header.deadline.value());
  stored.set_lease_id(record.header.lease_id);
  return stored;
}

std::string Print(const std::vector<StoredKeyValue>& rows) {
  std::string text;
  for (const StoredKeyValue& row : rows) {
    absl::StrAppend(&text, "{", row.ShortDebugString(), "}");
  }
  return text;
}

bool AreEqual(const std::vector<StoredKeyValue>& a, const std::vector<StoredKeyValue>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const StoredKeyValue& x, const StoredKeyValue& y) {
                      return x.SerializeAsString() == y.SerializeAsString();
                    });
}

}  // namespace

void AnswerOracle::OnAnswered(const Request& request, const Reply& reply) {
  switch (reply.status) {
    case Reply::Status::kOk:
      request.kind == RequestKind::kWrite ? CheckWrite(request, reply) : CheckRead(request, reply);
      return;
    case Reply::Status::kNoLeader:
      counters_.Note(Situation::kAnsweredNoLeader);
      break;
    case Reply::Status::kOverloaded:
      counters_.Note(Situation::kAnsweredOverloaded);
      break;
    case Reply::Status::kDiskFull:
      counters_.Note(Situation::kAnsweredDiskFull);
      break;
    case Reply::Status::kShuttingDown:
      counters_.Note(Situation::kAnsweredShuttingDown);
      break;
    case Reply::Status::kOutcomeUnknown:
      return;
  }
  // Of a request with an id another try may have been done, or be done yet.
  if (request.kind == RequestKind::kWrite && !MayComeTwice(request.command)) {
    ledger_.OnRefused(request.number);
  }
}

void AnswerOracle::CheckWrite(const Request& request, const Reply& reply) {
  const Ledger::Effect* effect = ledger_.Find(request.number);
  findings_.Expect(effect != nullptr, [&] {
    return absl::StrCat("operation ", request.number, " is acknowledged and not committed");
  });
  if (effect == nullptr) {
    return;
  }
  CommandOutcome expected = WhatClientsHearOf(effect->outcome);
  if (MayComeTwice(request.command) && reply.outcome.replayed()) {
    expected.set_replayed(true);
  }
  findings_.Expect(expected.SerializeAsString() == reply.outcome.SerializeAsString(), [&] {
    return absl::StrCat("operation ", request.number, " is answered {",
                        reply.outcome.ShortDebugString(), "}, the model says {",
                        expected.ShortDebugString(), "}");
  });
  if (reply.outcome.verdict() == CommandOutcome::VERDICT_GUARD_FAILED) {
    counters_.Note(Situation::kPreconditionFailed);
  } else if (reply.outcome.verdict() == CommandOutcome::VERDICT_RANGE_TOO_LARGE) {
    counters_.Note(Situation::kRangeRefused);
  }
}

void AnswerOracle::CheckRead(const Request& request, const Reply& reply) {
  if (!request.linearizable && reply.applied < ledger_.last()) {
    counters_.Note(Situation::kStaleReadOfOldState);
  }
  std::vector<StoredKeyValue> expected;
  bool more = false;
  if (request.kind == RequestKind::kGet) {
    const auto record = ledger_.model().Get(request.key, reply.applied);
    if (record.has_value()) {
      expected.push_back(ToStored(request.key, *record));
    }
  } else {
    auto rows =
        ledger_.model().List(request.scan.interval.start, request.scan.interval.end, reply.applied);
    if (request.scan.descending) {
      std::reverse(rows.begin(), rows.end());
    }
    more = rows.size() > request.scan.keys_max;
    rows.resize(std::min<size_t>(rows.size(), request.scan.keys_max));
    for (const auto& [key, record] : rows) {
      expected.push_back(ToStored(key, record));
    }
  }
  const bool right = AreEqual(expected, reply.rows) && more == reply.more &&
                     reply.revision == ledger_.RevisionAt(reply.applied);
  findings_.Expect(right, [&] {
    return absl::StrCat("operation ", request.number, " reads ", Print(reply.rows), " at index ",
                        reply.applied.value(), ", where the model has ", Print(expected));
  });
}

LogIndex AnswerOracle::IndexOf(const Request& request, const Reply& reply) const {
  if (request.kind != RequestKind::kWrite) {
    return reply.applied;
  }
  const Ledger::Effect* effect = ledger_.Find(request.number);
  return effect == nullptr ? LogIndex(0) : effect->index;
}

void AnswerOracle::OnReceived(const Request& request, const Reply& reply, LogIndex floor) {
  if (reply.status != Reply::Status::kOk || !request.linearizable) {
    return;
  }
  const LogIndex index = IndexOf(request, reply);
  const bool is_write = request.kind == RequestKind::kWrite;
  findings_.Expect(is_write ? index > floor : index >= floor, [&] {
    return absl::StrCat("operation ", request.number, is_write ? " writes" : " reads", " at index ",
                        index.value(), ", but index ", floor.value(),
                        " was known to clients before it was asked for");
  });
  floor_ = std::max(floor_, index);
}

void AnswerOracle::OnUnknownAtEnd(const Request& request) {
  if (request.kind == RequestKind::kWrite) {
    counters_.Note(ledger_.Find(request.number) == nullptr ? Situation::kUnknownNeverHappened
                                                           : Situation::kUnknownHappened);
  }
}

}  // namespace raftkv::simulation
