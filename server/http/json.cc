#include "server/http/json.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kv/errors.h"

namespace raftkv::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Makes the value, event by event. Its names and types are nlohmann's: a `false` ends the parsing.
class Reader final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return Add(nullptr); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(number_integer_t value) override { return Add(value); }
  bool number_unsigned(number_unsigned_t value) override { return Add(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return Add(value); }
  bool string(string_t& value) override { return Add(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return Open(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return Open(Json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(string_t& name) override {
    if (!open_.back().names.insert(name).second) {
      problem_ = absl::StrCat("member ", kv::EchoKey(name), " is given twice");
      return false;
    }
    if (open_.back().names.size() > kJsonMembersMax) {
      problem_ = absl::StrCat("an object has more than ", kJsonMembersMax, " members");
      return false;
    }
    name_ = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    const absl::string_view words = error.what();
    const size_t prefix = words.find("] ");
    problem_ = absl::StrCat(prefix == absl::string_view::npos ? words : words.substr(prefix + 2),
                            " (byte ", position, ")");
    return false;
  }

  Json TakeValue() { return std::move(value_); }
  const std::string& problem() const { return problem_; }

 private:
  struct Container {
    Json* value;
    std::set<std::string> names;
  };

  // Where it belongs; null when it is not wanted.
  Json* Place(Json value) {
    if (open_.empty()) {
      value_ = std::move(value);
      return &value_;
    }
    Json& container = *open_.back().value;
    if (container.is_array()) {
      container.push_back(std::move(value));
      return &container.back();
    }
    return &(container[name_] = std::move(value));
  }
  bool Add(Json value) {
    Place(std::move(value));
    return true;
  }
  bool Open(Json value) {
    if (open_.size() == kJsonDepthMax) {
      problem_ = absl::StrCat("is nested more than ", kJsonDepthMax, " deep");
      return false;
    }
    open_.push_back({.value = Place(std::move(value)), .names = {}});
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  Json value_;
  // Those that are not closed yet. A pointer stays good: its container gets no new element before
  // it is closed.
  std::vector<Container> open_;
  std::string name_;
  std::string problem_;
};

absl::Status CheckObject(const Json& json, const Descriptor& type, const std::string& path);

absl::Status CheckValue(const Json& json, const FieldDescriptor& field, const std::string& path) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      if (json.is_number_float()) {
        return kv::MalformedTextError(
            absl::StrCat(path, ": ", WriteJson(json), " is not a whole number of 64 bits"));
      }
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      // Those of protobuf's own have another form in JSON, as "1.5s".
      return absl::StartsWith(field.message_type()->full_name(), "google.protobuf.")
                 ? absl::OkStatus()
                 : CheckObject(json, *field.message_type(), absl::StrCat(path, "."));
    default:
      return absl::OkStatus();
  }
}

absl::Status CheckObject(const Json& json, const Descriptor& type, const std::string& path) {
  std::set<const FieldDescriptor*> given;
  if (!json.is_object()) {  // Protobuf's reader says what is wrong with it.
    return absl::OkStatus();
  }
  for (const auto& [name, value] : json.items()) {
    const FieldDescriptor* field = type.FindFieldByName(name);
    for (int i = 0; field == nullptr && i < type.field_count(); ++i) {
      field = type.field(i)->json_name() == name ? type.field(i) : nullptr;
    }
    if (field == nullptr) {
      return kv::UnknownFieldError(absl::StrCat(path, name));
    }
    const std::string field_path = absl::StrCat(path, field->name());
    if (!given.insert(field).second) {
      return kv::MalformedTextError(
          absl::StrCat(field_path, ": is given twice, under each of its names"));
    }
    if (!field->is_repeated()) {
      RAFTKV_RETURN_IF_ERROR(CheckValue(value, *field, field_path));
      continue;
    }
    for (const Json& element : value) {
      RAFTKV_RETURN_IF_ERROR(CheckValue(element, *field, field_path));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Json> ParseJson(absl::string_view text) {
  Reader reader;
  if (!Json::sax_parse(text.begin(), text.end(), &reader)) {
    return kv::MalformedTextError(absl::StrCat("body: ", reader.problem()));
  }
  return reader.TakeValue();
}

std::string WriteJson(const Json& json) {
  return json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

absl::Status CheckIsMessage(const Json& json, const Descriptor& type) {
  return CheckObject(json, type, "");
}

}  // namespace raftkv::server
