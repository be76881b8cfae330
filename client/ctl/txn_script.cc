#include "client/ctl/txn_script.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/duration.h"
#include "base/status_macros.h"

namespace raftkv::ctl {
namespace {

// Words and, in guards, the marks between them; what is quoted is a word whatever is in it.
struct Token {
  std::string text;
  bool quoted = false;
};

// `marks` are tokens of their own.
absl::StatusOr<std::vector<Token>> Split(absl::string_view line, absl::string_view marks) {
  std::vector<Token> tokens;
  size_t at = 0;
  while (at < line.size()) {
    if (absl::ascii_isspace(static_cast<unsigned char>(line[at]))) {
      ++at;
      continue;
    }
    Token& token = tokens.emplace_back();
    if (line[at] == '"') {
      token.quoted = true;
      for (++at; at < line.size() && line[at] != '"'; ++at) {
        if (line[at] == '\\' && at + 1 < line.size()) {
          ++at;
        }
        token.text += line[at];
      }
      if (at == line.size()) {
        return absl::InvalidArgumentError("a quotation mark has no other");
      }
      ++at;
      continue;
    }
    if (absl::StrContains(marks, line[at])) {
      token.text = line[at++];
      continue;
    }
    while (at < line.size() && !absl::ascii_isspace(static_cast<unsigned char>(line[at])) &&
           line[at] != '"' && !absl::StrContains(marks, line[at])) {
      token.text += line[at++];
    }
  }
  return tokens;
}

absl::StatusOr<int64_t> ParseNumber(const std::string& text) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no number"));
  }
  return number;
}

absl::Status SetTarget(const std::string& what, const std::string& wanted, Guard* guard) {
  if (what == "value" || what == "val") {
    guard->target = ValueIs{wanted};
    return absl::OkStatus();
  }
  if (what == "exists") {
    if (wanted != "true" && wanted != "false") {
      return absl::InvalidArgumentError("exists is \"true\" or \"false\"");
    }
    guard->target = KeyExists{wanted == "true"};
    return absl::OkStatus();
  }
  RAFTKV_ASSIGN_OR_RETURN(const int64_t number, ParseNumber(wanted));
  if (what == "mod") {
    guard->target = ModRevisionIs{number};
  } else if (what == "create" || what == "c") {
    guard->target = CreateRevisionIs{number};
  } else if (what == "version" || what == "ver") {
    guard->target = VersionIs{number};
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", what, "\" is not known; a guard is about value, mod, create, version or exists"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Guard> ParseGuard(absl::string_view line) {
  RAFTKV_ASSIGN_OR_RETURN(std::vector<Token> tokens, Split(line, "()=!<>"));
  const auto is = [&](size_t place, absl::string_view mark) {
    return place < tokens.size() && !tokens[place].quoted && tokens[place].text == mark;
  };
  size_t place = 4;
  Guard guard;
  bool known = is(1, "(") && is(3, ")");
  if (is(place, "!") && is(place + 1, "=")) {
    guard.comparison = Comparison::kNotEqual;
    ++place;
  } else if (is(place, ">")) {
    guard.comparison = Comparison::kGreater;
  } else if (is(place, "<")) {
    guard.comparison = Comparison::kLess;
  } else {
    known = known && is(place, "=");
  }
  if (!known || tokens.size() != place + 2) {
    return absl::InvalidArgumentError("a guard looks like mod(\"key\") > \"0\"");
  }
  guard.range = SingleKey{tokens[2].text};
  RAFTKV_RETURN_IF_ERROR(SetTarget(tokens[0].text, tokens.back().text, &guard));
  return guard;
}

// The words of an operation after its name, flags apart.
struct Words {
  std::vector<std::string> plain;
  bool prefix = false;
  std::optional<absl::Duration> ttl;
};

absl::StatusOr<Words> ParseWords(const std::vector<Token>& tokens) {
  Words words;
  for (size_t i = 1; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    if (!token.quoted && token.text == "--prefix") {
      words.prefix = true;
    } else if (!token.quoted && token.text == "--ttl" && i + 1 < tokens.size()) {
      RAFTKV_ASSIGN_OR_RETURN(words.ttl, ParseDuration(tokens[++i].text));
    } else {
      words.plain.push_back(token.text);
    }
  }
  return words;
}

KeyRange RangeOf(const Words& words) {
  return words.prefix ? KeyRange(Prefix{words.plain[0]}) : KeyRange(SingleKey{words.plain[0]});
}

absl::StatusOr<TxnOp> ParseOperation(absl::string_view line) {
  RAFTKV_ASSIGN_OR_RETURN(const std::vector<Token> tokens, Split(line, ""));
  const std::string& name = tokens[0].text;
  RAFTKV_ASSIGN_OR_RETURN(const Words words, ParseWords(tokens));
  const size_t count = words.plain.size();
  if (name == "put" && count == 2) {
    return PutOp{.key = words.plain[0], .value = words.plain[1], .options = {.ttl = words.ttl}};
  }
  if (name == "get" && count == 1) {
    // All of them: what is too much for an answer is refused.
    constexpr int32_t kPageSizeMax = 10'000;
    return words.prefix
               ? TxnOp(ListOp{.range = RangeOf(words), .options = {.page_size = kPageSizeMax}})
               : TxnOp(GetOp{.key = words.plain[0]});
  }
  if (name == "del" && count == 1) {
    return words.prefix ? TxnOp(DeleteRangeOp{.range = RangeOf(words)})
                        : TxnOp(DeleteOp{.key = words.plain[0]});
  }
  if (name == "incr" && (count == 1 || count == 2)) {
    IncrementOp increment{.key = words.plain[0], .options = {.ttl = words.ttl}};
    if (count == 2) {
      RAFTKV_ASSIGN_OR_RETURN(increment.options.delta, ParseNumber(words.plain[1]));
    }
    return increment;
  }
  if (name == "touch" && count == 2) {
    RAFTKV_ASSIGN_OR_RETURN(const absl::Duration ttl, ParseDuration(words.plain[1]));
    return TouchOp{.key = words.plain[0], .options = {.ttl = ttl}};
  }
  return absl::InvalidArgumentError(
      "an operation is put KEY VALUE [--ttl DURATION], get KEY [--prefix], del KEY [--prefix], "
      "incr KEY [DELTA] [--ttl DURATION] or touch KEY DURATION");
}

}  // namespace

absl::StatusOr<Txn> ParseTxnScript(absl::string_view text) {
  Txn txn;
  int part = 0;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) {
      ++part;
      continue;
    }
    absl::Status problem;
    if (part == 0) {
      absl::StatusOr<Guard> guard = ParseGuard(line);
      problem = guard.status();
      if (guard.ok()) {
        txn.guards.push_back(*std::move(guard));
      }
    } else if (part < 3) {
      absl::StatusOr<TxnOp> op = ParseOperation(line);
      problem = op.status();
      if (op.ok()) {
        (part == 1 ? txn.then_ops : txn.else_ops).push_back(*std::move(op));
      }
    } else {
      problem = absl::InvalidArgumentError("three parts are all there is");
    }
    if (!problem.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", problem.message()));
    }
  }
  return txn;
}

}  // namespace raftkv::ctl
