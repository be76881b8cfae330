// Every command, and every field of one, has the command version that a member must have to know
// it: what is missing here has none yet.
#include "kv/command_version.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace raftkv::kv {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using log::v1::Command;

// The fields of a message: what the first version knows, and what needs the second. In a message
// that is itself of the second, the fields that came with it are of the first.
struct Row {
  std::vector<std::string> first;
  std::vector<std::string> second = {};
};

const std::map<std::string, Row>& Versions() {
  static const auto* const versions = new std::map<std::string, Row>{
      {"Command",
       {{"txn", "expire", "member_record", "raise_cluster_version"},
        {"request", "grant_lease", "renew_lease", "revoke_lease", "expire_lease",
         "compact_history"}}},
      {"Txn",
       {{"guards", "operations"},
        {"else_operations", "has_else", "answer_bytes_max", "scanned_keys_max"}}},
      {"Guard",
       {{"key", "exists", "mod_revision", "version", "value"},
        {"create_revision", "comparison", "is_range", "end_key", "lease_id"}}},
      {"Operation", {{"put", "delete"}, {"get", "list", "touch", "increment", "txn"}}},
      {"PutOperation", {{"key", "value", "ttl_ms", "keep_ttl", "return_previous"}, {"lease_id"}}},
      {"DeleteOperation",
       {{"start_key", "end_key", "limit", "keys_max", "return_previous", "previous_bytes_max"}}},
      {"GetOperation", {{"key"}}},
      {"ListOperation",
       {{"start_key", "end_key", "keys_max", "bytes_max", "keys_only", "descending",
         "count_only"}}},
      {"TouchOperation", {{"key", "ttl_ms", "persist"}, {"lease_id"}}},
      {"IncrementOperation", {{"key", "delta", "initial", "ttl_ms", "persist"}, {"lease_id"}}},
      {"Expire", {{"start_deadline_ms", "start_key", "keys_max"}}},
      {"MemberRecord",
       {{"member_id", "client_address", "peer_address", "version", "command_version"},
        {"priority"}}},
      {"RaiseClusterVersion", {{"version"}}},
      {"RequestMark", {{"id", "content_hash", "keep_ms", "ids_max", "bytes_max"}}},
      {"GrantLease", {{"id", "ttl_ms", "leases_max", "keys_max"}}},
      {"RenewLease", {{"id", "ttl_ms"}}},
      {"RevokeLease", {{"id"}}},
      {"ExpireLease", {{"id"}}},
      {"CompactHistory", {{"revision"}}}};
  return *versions;
}

// nullopt: nobody gave it one.
std::optional<uint32_t> VersionOf(const FieldDescriptor& field) {
  const auto row = Versions().find(field.containing_type()->name());
  if (row == Versions().end()) {
    return std::nullopt;
  }
  const auto holds = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), field.name()) != names.end();
  };
  if (holds(row->second.first)) {
    return 1;
  }
  return holds(row->second.second) ? std::optional<uint32_t>(2) : std::nullopt;
}

// Adds the message there, or returns where one is.
Message* MessageAt(const FieldDescriptor* field, Message* within) {
  const Reflection* const reflection = within->GetReflection();
  return field->is_repeated() ? reflection->AddMessage(within, field)
                              : reflection->MutableMessage(within, field);
}

void SetSomething(const FieldDescriptor* field, Message* within) {
  const Reflection* const reflection = within->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(within, field, true);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(within, field, 1);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(within, field, 1);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(within, field, 1);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(within, field, 1);
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(within, field, "x");
    default:
      FAIL() << field->full_name() << " has a type that nothing here can be set to";
  }
}

class CommandVersionTest : public testing::Test {
 protected:
  // `place` makes a command's message of the type, whose way there needs `version`.
  void ExpectVersions(const Descriptor* type, uint32_t version,
                      const std::function<Message*(Command* command)>& place) {
    if (!seen_.insert(type->name()).second) {
      return;
    }
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* const field = type->field(i);
      const std::optional<uint32_t> own = VersionOf(*field);
      ASSERT_TRUE(own.has_value()) << field->full_name() << " needs a version in "
                                   << "kv/command_version.cc, and the same here";
      const uint32_t needed = std::max(version, *own);
      const auto within = [place, field](Command* command) {
        return MessageAt(field, place(command));
      };
      Command command;
      if (field->message_type() == nullptr) {
        SetSomething(field, place(&command));
      } else {
        within(&command);
      }
      EXPECT_EQ(CommandVersionOf(command), needed) << command.ShortDebugString();
      if (field->message_type() != nullptr) {
        ExpectVersions(field->message_type(), needed, within);
      }
    }
  }

  // Types that were looked at.
  std::set<std::string> seen_;
};

TEST_F(CommandVersionTest, EveryKindAndEveryFieldHasOne) {
  ExpectVersions(Command::descriptor(), kFirstCommandVersion,
                 [](Command* command) { return command; });
  EXPECT_EQ(seen_.size(), Versions().size());
}

TEST_F(CommandVersionTest, TheNewestPartCounts) {
  Command command;
  command.mutable_txn()->add_operations()->mutable_put()->set_key("k");
  command.mutable_txn()->add_operations()->mutable_delete_()->set_start_key("k");
  EXPECT_EQ(CommandVersionOf(command), kFirstCommandVersion);
  command.mutable_txn()->add_operations()->mutable_touch()->set_key("k");
  EXPECT_EQ(CommandVersionOf(command), kTxnCommandVersion);
  command.mutable_txn()->mutable_operations()->DeleteSubrange(2, 1);
  command.mutable_request()->set_id("an id");
  EXPECT_EQ(CommandVersionOf(command), kTxnCommandVersion);
}

}  // namespace
}  // namespace raftkv::kv
