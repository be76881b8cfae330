#include "server/http/address_text.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "kv/errors.h"

namespace raftkv::server {

absl::StatusOr<std::string> DecodePath(absl::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const absl::string_view digits = text.substr(i + 1, 2);
    const bool whole = digits.size() == 2 && std::all_of(digits.begin(), digits.end(), [](char c) {
                         return absl::ascii_isxdigit(static_cast<unsigned char>(c));
                       });
    if (!whole) {
      return kv::MalformedTextError(
          absl::StrCat("address: \"%", absl::Utf8SafeCEscape(digits),
                       "\" is not a percent sign and two hexadecimal digits; write % as %25"));
    }
    decoded += absl::HexStringToBytes(digits);
    i += 2;
  }
  if (!IsUtf8(decoded)) {
    return kv::MalformedTextError(absl::StrCat("address: ", kv::EchoKey(text), " is not UTF-8"));
  }
  return decoded;
}

absl::StatusOr<QueryParameters> QueryParameters::Parse(absl::string_view query) {
  QueryParameters parameters;
  for (const absl::string_view part : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::string blanks = absl::StrReplaceAll(part, {{"+", " "}});
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(blanks, absl::MaxSplits('=', 1));
    RAFTKV_ASSIGN_OR_RETURN(std::string name, DecodePath(parts.first));
    RAFTKV_ASSIGN_OR_RETURN(std::string value, DecodePath(parts.second));
    if (!parameters.values_.emplace(name, std::move(value)).second) {
      return kv::MalformedTextError(
          absl::StrCat("parameter ", kv::EchoKey(name), ": is given twice"));
    }
  }
  return parameters;
}

absl::Status QueryParameters::CheckAllAmong(const std::vector<std::string>& known) const {
  for (const auto& [name, value] : values_) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return kv::MalformedTextError(
          absl::StrCat("parameter ", kv::EchoKey(name), ": is not known here; this route takes ",
                       known.empty() ? "none" : absl::StrJoin(known, ", ")));
    }
  }
  return absl::OkStatus();
}

std::optional<std::string> QueryParameters::Find(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional<std::string>(found->second);
}

absl::StatusOr<bool> QueryParameters::IsOn(const std::string& name) const {
  const std::optional<std::string> value = Find(name);
  if (!value.has_value() || *value == "false" || *value == "0") {
    return false;
  }
  if (value->empty() || *value == "true" || *value == "1") {
    return true;
  }
  return kv::MalformedTextError(absl::StrCat("parameter ", name, ": is ", kv::EchoKey(*value),
                                             "; must be true or false, or stand alone"));
}

}  // namespace raftkv::server
