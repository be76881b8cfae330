#include "server/loop/unknown_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "kv/errors.h"

namespace raftkv::server {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::optional<std::string> Find(const Message& message, const std::string& path);

std::optional<std::string> FindInField(const Message& message, const FieldDescriptor& field,
                                       const std::string& path) {
  const Reflection& reflection = *message.GetReflection();
  const std::string field_path = absl::StrCat(path, field.name());
  const int count = field.is_repeated() ? reflection.FieldSize(message, &field) : 1;
  for (int i = 0; i < count; ++i) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Message& child = field.is_repeated() ? reflection.GetRepeatedMessage(message, &field, i)
                                                 : reflection.GetMessage(message, &field);
      if (auto found = Find(child, absl::StrCat(field_path, ".")); found.has_value()) {
        return found;
      }
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      const int value = field.is_repeated() ? reflection.GetRepeatedEnumValue(message, &field, i)
                                            : reflection.GetEnumValue(message, &field);
      if (field.enum_type()->FindValueByNumber(value) == nullptr) {
        return absl::StrCat(field_path, " = ", value);
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> Find(const Message& message, const std::string& path) {
  const Reflection& reflection = *message.GetReflection();
  if (const auto& unknown = reflection.GetUnknownFields(message); !unknown.empty()) {
    return absl::StrCat(path, "field ", unknown.field(0).number());
  }
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    // Only these two can hide something; the others are looked at by their own checks.
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE &&
        field->cpp_type() != FieldDescriptor::CPPTYPE_ENUM) {
      continue;
    }
    if (auto found = FindInField(message, *field, path); found.has_value()) {
      return found;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> FindUnknownField(const Message& message) { return Find(message, ""); }

absl::Status CheckFieldsAreKnown(const Message& message) {
  const std::optional<std::string> unknown = FindUnknownField(message);
  return unknown.has_value() ? kv::UnknownFieldError(*unknown) : absl::OkStatus();
}

}  // namespace raftkv::server
