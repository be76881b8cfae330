#include "client/ctl/diff.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/ctl/output.h"
#include "client/ctl/output_json.h"

namespace raftkv::ctl {
namespace {

constexpr int32_t kDiffPageSize = 1'000;

// Goes over the keys of one revision, a page at a time.
class KeysAt {
 public:
  KeysAt(Client* client, const std::string& prefix, int64_t revision, bool keys_only)
      : client_(*client), range_({prefix}) {
    options_.page_size = kDiffPageSize;
    options_.keys_only = keys_only;
    options_.at_revision = revision;
  }

  // The key that it is at; null behind the last one.
  absl::StatusOr<const KeyValue*> Peek() {
    while (place_ == page_.size()) {
      if (is_last_) {
        return nullptr;
      }
      RAFTKV_ASSIGN_OR_RETURN(ListResult result, client_.List(range_, options_));
      page_ = std::move(result.kvs);
      place_ = 0;
      is_last_ = result.next_page_token.empty();
      options_.page_token = std::move(result.next_page_token);
    }
    return &page_[place_];
  }
  // REQUIRES: it is at a key.
  void Next() { ++place_; }

 private:
  Client& client_;
  const Prefix range_;
  ListOptions options_;
  std::vector<KeyValue> page_;
  size_t place_ = 0;
  bool is_last_ = false;
};

// As events are printed: what happened on a line of its own, the key, and then the values that are
// there, the old one first.
std::string FormatChange(OutputFormat format, const KeyValue* before, const KeyValue* after,
                         const KeyView& view) {
  const char* const change = before == nullptr ? "ADDED" : after == nullptr ? "REMOVED" : "CHANGED";
  if (format != OutputFormat::kSimple) {
    Json json{{"change", change}};
    if (before != nullptr) {
      json["before"] = ToJson(*before, view);
    }
    if (after != nullptr) {
      json["after"] = ToJson(*after, view);
    }
    return Line(json);
  }
  std::string text = absl::StrCat(change, "\n");
  absl::StrAppend(&text, FormatKeySimple(before != nullptr ? *before : *after, view));
  if (before != nullptr && after != nullptr && !view.keys_only) {
    KeyView value = view;
    value.print_value_only = true;
    absl::StrAppend(&text, FormatKeySimple(*after, value));
  }
  return text;
}

}  // namespace

absl::Status RunDiff(const DiffCommand& command, OutputFormat format, Client& client,
                     const Terminal& terminal) {
  const KeyView view{.keys_only = command.keys_only, .for_terminal = terminal.out_is_terminal};
  KeysAt old_keys(&client, command.prefix, command.from, command.keys_only);
  KeysAt new_keys(&client, command.prefix, command.to, command.keys_only);
  while (terminal.out) {
    RAFTKV_ASSIGN_OR_RETURN(const KeyValue* before, old_keys.Peek());
    RAFTKV_ASSIGN_OR_RETURN(const KeyValue* after, new_keys.Peek());
    if (before == nullptr && after == nullptr) {
      return absl::OkStatus();
    }
    const bool is_old = before != nullptr && (after == nullptr || before->key <= after->key);
    const bool is_new = after != nullptr && (before == nullptr || after->key <= before->key);
    // A revision writes a key once.
    if (!is_old || !is_new || before->mod_revision != after->mod_revision) {
      terminal.out << FormatChange(format, is_old ? before : nullptr, is_new ? after : nullptr,
                                   view);
    }
    if (is_old) {
      old_keys.Next();
    }
    if (is_new) {
      new_keys.Next();
    }
  }
  return absl::OkStatus();
}

}  // namespace raftkv::ctl
