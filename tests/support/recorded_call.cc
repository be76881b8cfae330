#include "tests/support/recorded_call.h"

#include <gtest/gtest.h>

#include <chrono>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/linearizability/checker.h"
#include "tests/linearizability/revision_rules.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {
namespace {

using linearizability::Answer;
using linearizability::Kind;
using linearizability::Operation;
using linearizability::Outcome;

Answer Failure(const CallError& error) {
  Answer answer;
  if (error.reason == "PRECONDITION_FAILED") {
    int64_t revision = 0;
    answer.outcome = Outcome::kPreconditionFailed;
    if (absl::SimpleAtoi(error.Meta("mod_revision"), &revision)) {
      answer.mod_revision = revision;
    }
  } else {
    answer.outcome = error.CertainlyNotApplied() ? Outcome::kFailed : Outcome::kUnknown;
  }
  return answer;
}

Answer Put(const Operation& operation, NodeClient* node, Millis timeout) {
  v1::PutRequest request;
  request.set_key(operation.key);
  request.set_text(operation.value);
  if (operation.expected_revision.has_value()) {
    request.mutable_precondition()->set_mod_revision(*operation.expected_revision);
  }
  if (operation.ttl.has_value()) {
    constexpr int64_t kNanosPerSecond = 1'000'000'000;
    request.mutable_ttl()->set_seconds(*operation.ttl / kNanosPerSecond);
    request.mutable_ttl()->set_nanos(static_cast<int32_t>(*operation.ttl % kNanosPerSecond));
  }
  const auto reply = node->Put(request, timeout);
  if (!reply.ok()) {
    return Failure(reply);
  }
  return {.outcome = Outcome::kOk,
          .mod_revision = reply->mod_revision(),
          .store_revision = reply->header().revision()};
}

Answer Delete(const Operation& operation, NodeClient* node, Millis timeout) {
  v1::DeleteRequest request;
  request.set_key(operation.key);
  const auto reply = node->Delete(request, timeout);
  if (!reply.ok()) {
    return Failure(reply);
  }
  Answer answer{.outcome = Outcome::kOk,
                .found = reply->deleted(),
                .store_revision = reply->header().revision()};
  if (reply->deleted()) {
    answer.mod_revision = reply->header().revision();
  }
  return answer;
}

Answer Get(const Operation& operation, NodeClient* node, Millis timeout) {
  const auto reply = node->GetText(operation.key, timeout);
  if (!reply.ok()) {
    return {.outcome = Outcome::kFailed};
  }
  Answer answer{.outcome = Outcome::kOk,
                .found = reply->has_kv(),
                .store_revision = reply->header().revision()};
  if (reply->has_kv()) {
    answer.value = reply->kv().text();
    answer.mod_revision = reply->kv().mod_revision();
  }
  return answer;
}

}  // namespace

int64_t HistoryNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
      .count();
}

Answer Call(const Operation& operation, NodeClient* node, Millis timeout) {
  switch (operation.kind) {
    case Kind::kPut:
      return Put(operation, node, timeout);
    case Kind::kDelete:
      return Delete(operation, node, timeout);
    case Kind::kGet:
      return Get(operation, node, timeout);
  }
  return {};
}

HistoryVerdict CheckHistory(const linearizability::History& history,
                            const std::string& history_path) {
  const auto begin = Clock::now();
  const auto revisions = linearizability::CheckRevisions(history);
  for (const std::string& violation : revisions) {
    ADD_FAILURE() << violation;
  }
  const auto report = linearizability::CheckLinearizability(history);
  if (report.verdict != linearizability::Verdict::kOk || !revisions.empty()) {
    WriteFile(history_path, linearizability::FormatHistory(history));
    ADD_FAILURE() << (report.verdict == linearizability::Verdict::kTimeout ? "no verdict: "
                                                                           : "not linearizable: ")
                  << report.explanation << "\nhistory: " << history_path;
  }
  return {.operations = history.size(), .steps = report.steps, .duration = Since(begin)};
}

}  // namespace raftkv::integration
