#include "client/ctl/json_lines.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/duration.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "client/ctl/escape.h"

namespace raftkv::ctl {
namespace {

using Json = nlohmann::ordered_json;

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<std::string> TextOf(const Json& json, const std::string& name) {
  if (!json.is_string()) {
    return Bad(absl::StrCat("\"", name, "\" is no string"));
  }
  return json.get<std::string>();
}

absl::Status SetField(const std::string& name, const Json& json, JsonLine* line) {
  if (name == "mod_revision") {
    return json.is_number_integer() ? absl::OkStatus() : Bad("\"mod_revision\" is no number");
  }
  RAFTKV_ASSIGN_OR_RETURN(std::string text, TextOf(json, name));
  if (name == "key") {
    line->key = std::move(text);
  } else if (name == "value") {
    line->value = std::move(text);
  } else if (name == "value_base64") {
    if (!absl::Base64Unescape(text, &line->value)) {
      return Bad("\"value_base64\" is no base64");
    }
  } else if (name == "ttl") {
    const absl::StatusOr<absl::Duration> ttl = ParseDuration(text);
    if (!ttl.ok() || *ttl <= absl::ZeroDuration()) {
      return Bad(absl::StrCat("\"ttl\" is \"", EscapeControls(text, Newlines::kEscape),
                              "\"; it must be a duration above 0, such as 5s or 300ms"));
    }
    line->ttl = *ttl;
  } else {
    return Bad(absl::StrCat("\"", EscapeControls(name, Newlines::kEscape), "\" is not known"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string ToJsonLine(const KeyValue& kv) {
  Json json = Json::object();
  json["key"] = kv.key;
  if (IsUtf8(kv.value)) {
    json["value"] = kv.value;
  } else {
    json["value_base64"] = absl::Base64Escape(kv.value);
  }
  if (kv.ttl_remaining.has_value()) {
    json["ttl"] = absl::StrCat(absl::ToInt64Milliseconds(*kv.ttl_remaining), "ms");
  }
  json["mod_revision"] = kv.mod_revision;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<JsonLine> ParseJsonLine(absl::string_view line) {
  const Json json = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) {
    return Bad("it is no JSON object");
  }
  JsonLine result;
  for (const auto& [name, value] : json.items()) {
    RAFTKV_RETURN_IF_ERROR(SetField(name, value, &result));
  }
  if (!json.contains("key")) {
    return Bad("\"key\" is missing");
  }
  if (json.contains("value") == json.contains("value_base64")) {
    return Bad("there must be one of \"value\" and \"value_base64\"");
  }
  return result;
}

}  // namespace raftkv::ctl
