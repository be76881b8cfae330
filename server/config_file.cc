#include "server/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/utf8.h"

namespace raftkv::server {
namespace {

constexpr char kShape[] = "must be lines of `flag: value`";
constexpr char kUtf8Mark[] = "\xEF\xBB\xBF";

std::string Place(const std::string& path, const YAML::Mark& mark) {
  return absl::StrCat(path, ":", mark.line + 1, ":", mark.column + 1);
}

absl::Status Refusal(absl::string_view place, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", problem));
}

bool IsControl(char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); }

// What the scanner passes over, or takes for another encoding.
absl::Status CheckText(const std::string& path, absl::string_view text) {
  YAML::Mark mark;
  for (const char c : text) {
    if (c == '%' && mark.column == 0) {
      return Refusal(Place(path, mark), "directives (lines that begin with %) are not taken");
    }
    if (IsControl(c) && c != '\n' && c != '\r' && c != '\t') {
      return Refusal(Place(path, mark), absl::StrCat("a control character, 0x", absl::Hex(c),
                                                     ": must be text in UTF-8"));
    }
    ++mark.column;
    if (c == '\n') {
      ++mark.line;
      mark.column = 0;
    }
  }
  return IsUtf8(text) ? absl::OkStatus() : Refusal(path, "must be text in UTF-8");
}

// Whether the quote at the head of `text` is closed. The scanner is content with the end of the
// file in its place, and then the value has swallowed all lines behind it:
// findings/yaml_cpp_takes_the_end_of_a_file_for_a_missing_quote.sh.
bool IsClosed(absl::string_view text) {
  const char quote = text.front();
  for (size_t i = 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text.substr(i, 2) == "''" && quote == '\'') {
      ++i;
    } else if (text[i] == quote) {
      return true;
    }
  }
  return false;
}

// Takes entries as the parser meets them, up to the first error.
class EntryReader final : public YAML::EventHandler {
 public:
  EntryReader(std::string path, absl::string_view text) : path_(std::move(path)), text_(text) {}

  bool ok() const { return error_.ok(); }
  absl::StatusOr<std::vector<ConfigEntry>> Take() {
    return error_.ok() ? absl::StatusOr<std::vector<ConfigEntry>>(std::move(entries_)) : error_;
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      Fail(Place(path_, mark), absl::StrCat("begins a second document: ", kShape,
                                            ", all beginning in the same column"));
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    if (depth_ == 0) {
      return;  // A document of comments.
    }
    if (!key_.has_value()) {
      Fail(Place(path_, mark), absl::StrCat("has no key: ", kShape));
    } else {
      // The parser's place is where it looked last, often on the next line.
      Fail(key_->key_place,
           absl::StrCat(key_->key, ": has no value: give one, or \"\" for the empty text"));
    }
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                const std::string& value) override {
    const std::string place = Place(path_, mark);
    CheckTag(place, tag);
    const absl::string_view rest =
        text_.substr(std::min(text_.size(), static_cast<size_t>(mark.pos)));
    const bool is_quoted = absl::StartsWith(rest, "\"") || absl::StartsWith(rest, "'");
    if (is_quoted && !IsClosed(rest)) {
      Fail(place, absl::StrCat(Subject(), "the quote is never closed"));
      return;
    }
    if (depth_ == 0) {
      Fail(place, absl::StrCat("\"", absl::Utf8SafeCHexEscape(value), "\": ", kShape,
                               ", with a blank behind the colon"));
      return;
    }
    if (std::any_of(value.begin(), value.end(), IsControl)) {
      Fail(place, absl::StrCat(Subject(), "must be one line without control characters"));
      return;
    }
    if (key_.has_value()) {
      key_->value = value;
      key_->value_place = place;
      entries_.push_back(*std::exchange(key_, std::nullopt));
    } else {
      BeginEntry(place, value);
    }
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    Fail(Place(path_, mark), absl::StrCat("aliases (*name) are not taken", kInQuotes));
  }
  void OnAnchor(const YAML::Mark& mark, const std::string& /*name*/) override {
    Fail(Place(path_, mark), absl::StrCat("anchors (&name) are not taken", kInQuotes));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {
    CheckTag(Place(path_, mark), tag);
    Fail(Place(path_, mark),
         depth_ == 0 ? kShape : absl::StrCat(Subject(), kOneText, "no list", kInQuotes));
  }
  void OnSequenceEnd() override {}

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {
    CheckTag(Place(path_, mark), tag);
    if (++depth_ > 1) {
      Fail(Place(path_, mark), absl::StrCat(Subject(), kOneText, "no map", kInQuotes));
    }
  }
  void OnMapEnd() override { --depth_; }

 private:
  static constexpr char kOneText[] = "must be one text, as on the command line, and ";
  static constexpr char kInQuotes[] = "; in quotes it is a text";

  // The first one counts: what follows may come from it.
  void Fail(const std::string& place, const std::string& problem) {
    error_.Update(Refusal(place, problem));
  }

  // Texts that are not quoted have "?", quoted ones "!".
  void CheckTag(const std::string& place, const std::string& tag) {
    if (tag != "?" && tag != "!") {
      Fail(place, absl::StrCat(Subject(), "tags (!name) are not taken", kInQuotes));
    }
  }

  std::string Subject() const { return key_.has_value() ? absl::StrCat(key_->key, ": ") : ""; }

  void BeginEntry(const std::string& place, const std::string& key) {
    if (const auto [first, is_new] = places_.emplace(key, place); !is_new) {
      Fail(place, absl::StrCat(key, ": is given twice, first at ", first->second));
    }
    key_ = ConfigEntry{.key = key, .value = "", .key_place = place, .value_place = ""};
  }

  const std::string path_;
  const absl::string_view text_;
  absl::Status error_;
  std::vector<ConfigEntry> entries_;
  std::map<std::string, std::string> places_;
  // Whose value comes next.
  std::optional<ConfigEntry> key_;
  int depth_ = 0;
  int documents_ = 0;
};

absl::Status SystemError(const std::string& file) {
  return Refusal(file, std::generic_category().message(errno));
}

}  // namespace

absl::StatusOr<std::vector<ConfigEntry>> ParseConfig(const std::string& path,
                                                     absl::string_view text) {
  // As editors of some systems write it.
  absl::ConsumePrefix(&text, kUtf8Mark);
  if (const absl::Status readable = CheckText(path, text); !readable.ok()) {
    return readable;
  }
  EntryReader reader(path, text);
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    // At most two: from some texts the parser takes one empty document after the other, for ever.
    while (reader.ok() && parser.HandleNextDocument(reader)) {
    }
  } catch (const YAML::Exception& error) {
    // What the reader found before that is said more plainly.
    auto entries = reader.Take();
    return entries.ok() ? Refusal(Place(path, error.mark),
                                  absl::StrCat("is not YAML: ", error.msg,
                                               "; a text with special characters needs quotes"))
                        : entries.status();
  }
  return reader.Take();
}

absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(const std::string& path) {
  const std::string file = absl::StrCat("--config=", path);
  // Without waiting for whoever writes to it, if it is a pipe.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return SystemError(file);
  }
  const absl::Cleanup close_file = [fd] { close(fd); };
  struct stat status {};
  if (fstat(fd, &status) != 0) {
    return SystemError(file);
  }
  if (!S_ISREG(status.st_mode)) {
    return Refusal(file, "is not a regular file");
  }
  std::string text(kConfigBytesMax + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(fd, text.data() + size, text.size() - size);
    if (got < 0) {
      return SystemError(file);
    }
    if (got == 0) {
      break;
    }
    size += static_cast<size_t>(got);
  }
  if (size > kConfigBytesMax) {
    return Refusal(file, absl::StrCat("is larger than ", kConfigBytesMax, " bytes"));
  }
  text.resize(size);
  return ParseConfig(path, text);
}

}  // namespace raftkv::server
