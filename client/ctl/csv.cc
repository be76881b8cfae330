#include "client/ctl/csv.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/duration.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "client/ctl/escape.h"

namespace raftkv::ctl {
namespace {

constexpr char kByteOrderMark[] = "\xef\xbb\xbf";

absl::Status BadRecord(absl::string_view what) { return absl::InvalidArgumentError(what); }

std::string Shown(absl::string_view text) {
  return absl::StrCat("\"", EscapeControls(text, Newlines::kEscape), "\"");
}

std::string Quoted(absl::string_view field) {
  if (field.find_first_of(",\"\r\n") == absl::string_view::npos) {
    return std::string(field);
  }
  return absl::StrCat("\"", absl::StrReplaceAll(field, {{"\"", "\"\""}}), "\"");
}

absl::Status SetColumn(const std::string& name, std::string field, JsonLine* line) {
  if (name == "key") {
    line->key = std::move(field);
  } else if (name == "value") {
    if (!field.empty()) {
      line->value = std::move(field);
    }
  } else if (name == "value_base64") {
    if (!field.empty() && !absl::Base64Unescape(field, &line->value)) {
      return BadRecord("\"value_base64\" is no base64");
    }
  } else if (name == "ttl" && !field.empty()) {
    const absl::StatusOr<absl::Duration> ttl = ParseDuration(field);
    if (!ttl.ok() || *ttl <= absl::ZeroDuration()) {
      return BadRecord(absl::StrCat("\"ttl\" is ", Shown(field),
                                    "; it must be a duration above 0, such as 5s or 300ms"));
    }
    line->ttl = *ttl;
  }
  return absl::OkStatus();
}

}  // namespace

std::string CsvHeader() { return "key,value,value_base64,ttl\n"; }

std::string ToCsvRecord(const KeyValue& kv) {
  const bool is_text = IsUtf8(kv.value);
  const std::string ttl = kv.ttl_remaining.has_value()
                              ? absl::StrCat(absl::ToInt64Milliseconds(*kv.ttl_remaining), "ms")
                              : "";
  return absl::StrCat(Quoted(kv.key), ",", is_text ? Quoted(kv.value) : "", ",",
                      is_text ? "" : absl::Base64Escape(kv.value), ",", ttl, "\n");
}

absl::StatusOr<std::optional<JsonLine>> CsvReader::Next() {
  if (columns_.empty()) {
    RAFTKV_RETURN_IF_ERROR(ReadHeader());
  }
  std::vector<std::string> fields;
  RAFTKV_ASSIGN_OR_RETURN(const bool is_there, ReadRecord(&fields));
  if (!is_there) {
    return std::optional<JsonLine>();
  }
  if (fields.size() != columns_.size()) {
    return BadRecord(absl::StrCat("it has ", fields.size(), " fields, and the first line names ",
                                  columns_.size(), " columns"));
  }
  JsonLine line;
  int values = 0;
  for (size_t i = 0; i < fields.size(); ++i) {
    values += absl::StartsWith(columns_[i], "value") && !fields[i].empty() ? 1 : 0;
    RAFTKV_RETURN_IF_ERROR(SetColumn(columns_[i], std::move(fields[i]), &line));
  }
  if (values > 1) {
    return BadRecord("\"value\" and \"value_base64\" are both there");
  }
  return std::optional<JsonLine>(std::move(line));
}

absl::Status CsvReader::ReadHeader() {
  std::vector<std::string> columns;
  RAFTKV_ASSIGN_OR_RETURN(const bool is_there, ReadRecord(&columns));
  if (!is_there) {
    line_ = 1;
    return BadRecord("it is empty: the first line names the columns, as in key,value");
  }
  if (absl::StartsWith(columns[0], kByteOrderMark)) {
    columns[0].erase(0, sizeof(kByteOrderMark) - 1);
  }
  const std::set<std::string> known = {"key", "value", "value_base64", "ttl", "mod_revision"};
  std::set<std::string> named;
  for (const std::string& column : columns) {
    if (known.count(column) == 0) {
      return BadRecord(absl::StrCat(Shown(column),
                                    " is no column; the first line names key, value or "
                                    "value_base64, and maybe ttl and mod_revision"));
    }
    if (!named.insert(column).second) {
      return BadRecord(absl::StrCat("there are two columns ", Shown(column)));
    }
  }
  if (named.count("key") == 0 || named.count("value") + named.count("value_base64") == 0) {
    return BadRecord(
        "the first line must name the columns \"key\" and \"value\" or "
        "\"value_base64\"");
  }
  columns_ = std::move(columns);
  return absl::OkStatus();
}

absl::StatusOr<bool> CsvReader::ReadRecord(std::vector<std::string>* fields) {
  while (Peek() != EOF) {
    line_ = lines_taken_ + 1;
    bytes_ = 0;
    fields->clear();
    RAFTKV_ASSIGN_OR_RETURN(const bool is_blank, ReadFields(fields));
    if (!is_blank) {
      return true;
    }
  }
  return false;
}

// True when there is nothing in it.
absl::StatusOr<bool> CsvReader::ReadFields(std::vector<std::string>* fields) {
  bool was_quoted = false;
  fields->emplace_back();
  while (true) {
    if (bytes_ > bytes_max_) {
      return BadRecord(absl::StrCat("it has more than ", bytes_max_, " bytes"));
    }
    const int byte = Take();
    if (byte == '\r' && Peek() == '\n') {
      continue;
    }
    if (byte == EOF || byte == '\n') {
      return fields->size() == 1 && fields->back().empty() && !was_quoted;
    }
    if (byte == ',') {
      fields->emplace_back();
      was_quoted = false;
    } else if (byte == '"' && fields->back().empty() && !was_quoted) {
      RAFTKV_RETURN_IF_ERROR(ReadQuoted(&fields->back()));
      was_quoted = true;
    } else if (byte == '"') {
      return BadRecord("there is a quote within a field that does not begin with one");
    } else if (was_quoted) {
      return BadRecord("there is something behind the closing quote of a field");
    } else {
      fields->back().push_back(static_cast<char>(byte));
    }
  }
}

absl::Status CsvReader::ReadQuoted(std::string* field) {
  while (bytes_ <= bytes_max_) {
    const int byte = Take();
    if (byte == EOF) {
      return BadRecord("a quoted field does not end");
    }
    if (byte != '"') {
      field->push_back(static_cast<char>(byte));
    } else if (Peek() == '"') {
      field->push_back(static_cast<char>(Take()));
    } else {
      return absl::OkStatus();
    }
  }
  return BadRecord(absl::StrCat("it has more than ", bytes_max_, " bytes"));
}

int CsvReader::Take() {
  const int byte = in_.rdbuf()->sbumpc();
  ++bytes_;
  lines_taken_ += byte == '\n' ? 1 : 0;
  return byte;
}

int CsvReader::Peek() { return in_.rdbuf()->sgetc(); }

}  // namespace raftkv::ctl
