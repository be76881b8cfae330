#include "tests/linearizability/history.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace raftkv::linearizability {
namespace {

// In C's notation, without spaces: words end there.
std::string Quoted(absl::string_view bytes) {
  return absl::StrCat("\"", absl::StrReplaceAll(absl::CEscape(bytes), {{" ", "\\040"}}), "\"");
}

std::string DescribeRequest(const Operation& operation) {
  std::string text;
  switch (operation.kind) {
    case Kind::kPut:
      text = absl::StrCat("put ", Quoted(operation.key), " ", Quoted(operation.value));
      break;
    case Kind::kDelete:
      text = absl::StrCat("delete ", Quoted(operation.key));
      break;
    case Kind::kGet:
      text = absl::StrCat("get ", Quoted(operation.key));
      break;
  }
  if (operation.expected_revision.has_value()) {
    absl::StrAppend(&text, " if=", *operation.expected_revision);
  }
  if (operation.ttl.has_value()) {
    absl::StrAppend(&text, " ttl=", *operation.ttl);
  }
  return text;
}

std::string DescribeAnswer(Kind kind, const Answer& answer) {
  std::string text;
  switch (answer.outcome) {
    case Outcome::kOk:
      if (kind == Kind::kPut || (kind == Kind::kDelete && answer.found)) {
        text = "ok";
      } else {
        text = answer.found ? Quoted(answer.value) : "absent";
      }
      break;
    case Outcome::kPreconditionFailed:
      text = "precondition_failed";
      break;
    case Outcome::kFailed:
      return "failed";
    case Outcome::kUnknown:
      return "unknown";
  }
  if (answer.mod_revision.has_value()) {
    absl::StrAppend(&text, " @", *answer.mod_revision);
  }
  if (answer.store_revision.has_value()) {
    absl::StrAppend(&text, " store=", *answer.store_revision);
  }
  return text;
}

// Reads one line from the front. What is wrong anywhere is remembered in ok().
class LineParser {
 public:
  explicit LineParser(absl::string_view line)
      : words_(absl::StrSplit(line, ' ', absl::SkipEmpty())) {}

  bool ok() const { return ok_; }
  bool AtEnd() const { return words_.empty(); }

  // Whether `word` comes next; then it is taken.
  bool Accept(absl::string_view word) {
    const bool accepted = !words_.empty() && words_.front() == word;
    if (accepted) {
      words_.pop_front();
    }
    return accepted;
  }

  void Expect(absl::string_view word) { ok_ = Accept(word) && ok_; }

  std::optional<int64_t> MaybeNumber(absl::string_view prefix) {
    int64_t number = 0;
    if (words_.empty() || !absl::ConsumePrefix(&words_.front(), prefix)) {
      return std::nullopt;
    }
    ok_ = absl::SimpleAtoi(words_.front(), &number) && ok_;
    words_.pop_front();
    return number;
  }

  int64_t Number(absl::string_view prefix) {
    const std::optional<int64_t> number = MaybeNumber(prefix);
    ok_ = ok_ && number.has_value();
    return number.value_or(0);
  }

  std::string Quoted() {
    std::string bytes;
    ok_ = ok_ && !words_.empty() && absl::ConsumePrefix(&words_.front(), "\"") &&
          absl::ConsumeSuffix(&words_.front(), "\"") && absl::CUnescape(words_.front(), &bytes);
    if (!words_.empty()) {
      words_.pop_front();
    }
    return bytes;
  }

 private:
  std::deque<absl::string_view> words_;
  bool ok_ = true;
};

Kind ParseKind(LineParser* line) {
  if (line->Accept("put")) {
    return Kind::kPut;
  }
  if (line->Accept("delete")) {
    return Kind::kDelete;
  }
  line->Expect("get");
  return Kind::kGet;
}

Answer ParseAnswer(Kind kind, LineParser* line) {
  Answer answer;
  if (line->Accept("unknown")) {
    return answer;
  }
  if (line->Accept("failed")) {
    answer.outcome = Outcome::kFailed;
    return answer;
  }
  answer.outcome = Outcome::kOk;
  if (line->Accept("precondition_failed")) {
    answer.outcome = Outcome::kPreconditionFailed;
  } else if (kind == Kind::kPut || !line->Accept("absent")) {
    answer.found = kind != Kind::kPut;
    if (kind == Kind::kGet) {
      answer.value = line->Quoted();
    } else {
      line->Expect("ok");
    }
  }
  answer.mod_revision = line->MaybeNumber("@");
  answer.store_revision = line->MaybeNumber("store=");
  return answer;
}

absl::StatusOr<Operation> ParseOperation(absl::string_view text) {
  LineParser line(text);
  Operation operation;
  operation.invoked = line.Number("");
  const bool answered = !line.Accept("-");
  operation.completed = answered ? line.Number("") : 0;
  operation.client = line.Number("c");
  operation.kind = ParseKind(&line);
  operation.key = line.Quoted();
  operation.value = operation.kind == Kind::kPut ? line.Quoted() : "";
  operation.expected_revision = line.MaybeNumber("if=");
  operation.ttl = line.MaybeNumber("ttl=");
  line.Expect("->");
  operation.answer = ParseAnswer(operation.kind, &line);
  if (!line.ok() || !line.AtEnd() || answered != (operation.answer.outcome != Outcome::kUnknown)) {
    return absl::InvalidArgumentError(absl::StrCat("not an operation: ", text));
  }
  RAFTKV_RETURN_IF_ERROR(Validate(operation));
  return operation;
}

}  // namespace

absl::Status Validate(const Operation& operation) {
  const Answer& answer = operation.answer;
  const bool happened = answer.outcome == Outcome::kOk;
  const char* wrong = nullptr;
  if (answer.outcome != Outcome::kUnknown && operation.completed < operation.invoked) {
    wrong = "completed before it was invoked";
  } else if (operation.ttl.has_value() && (operation.kind != Kind::kPut || *operation.ttl <= 0)) {
    wrong = "a ttl that is not positive, or not of a put";
  } else if (operation.expected_revision.has_value() &&
             (operation.kind == Kind::kGet || *operation.expected_revision < 0)) {
    wrong = "a precondition that is negative, or of a get";
  } else if (answer.outcome == Outcome::kPreconditionFailed) {
    if (!operation.expected_revision.has_value() || !answer.mod_revision.has_value()) {
      wrong = "a failed precondition without the expected and the current revision";
    }
  } else if (answer.mod_revision.has_value() && (!happened || *answer.mod_revision <= 0 ||
                                                 (operation.kind != Kind::kPut && !answer.found))) {
    wrong = "a mod_revision of nothing";
  }
  if (wrong == nullptr) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(wrong, ": ", Describe(operation)));
}

std::string Describe(const Operation& operation) {
  const bool answered = operation.answer.outcome != Outcome::kUnknown;
  return absl::StrCat(operation.invoked, " ", answered ? absl::StrCat(operation.completed) : "-",
                      " c", operation.client, " ", DescribeRequest(operation), " -> ",
                      DescribeAnswer(operation.kind, operation.answer));
}

std::string FormatHistory(const History& history) {
  std::string text;
  for (const Operation& operation : history) {
    absl::StrAppend(&text, Describe(operation), "\n");
  }
  return text;
}

absl::StatusOr<History> ParseHistory(absl::string_view text) {
  History history;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    if (line.empty() || line.front() == '#') {
      continue;
    }
    absl::StatusOr<Operation> operation = ParseOperation(line);
    if (!operation.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": ", operation.status().message()));
    }
    history.push_back(*std::move(operation));
  }
  return history;
}

size_t HistoryRecorder::Begin(Operation request, int64_t now) {
  MutexLock lock(&mutex_);
  request.invoked = UniqueTime(now);
  request.completed = 0;
  request.answer = Answer();
  history_.push_back(std::move(request));
  return history_.size() - 1;
}

void HistoryRecorder::End(size_t number, Answer answer, int64_t now) {
  MutexLock lock(&mutex_);
  history_[number].completed = UniqueTime(now);
  history_[number].answer = std::move(answer);
}

int64_t HistoryRecorder::UniqueTime(int64_t now) {
  last_time_ = last_time_.has_value() ? std::max(now, *last_time_ + 1) : now;
  return *last_time_;
}

History HistoryRecorder::history() const {
  MutexLock lock(&mutex_);
  return history_;
}

}  // namespace raftkv::linearizability
