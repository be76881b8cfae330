#include "server/loop/unknown_fields.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "raftkv/v1/cluster.pb.h"
#include "raftkv/v1/kv.pb.h"
#include "tests/server/proto_text.h"

namespace raftkv::server {
namespace {

using google::protobuf::Message;

// What a newer version would have sent: a field that this one has no name for.
google::protobuf::UnknownFieldSet* UnknownsOf(Message* message) {
  return message->GetReflection()->MutableUnknownFields(message);
}

TEST(UnknownFieldsTest, NoneInWhatThisVersionKnows) {
  EXPECT_EQ(FindUnknownField(v1::GetRequest()), std::nullopt);
  EXPECT_EQ(FindUnknownField(Proto<v1::PutRequest>(R"(
                key: "k" text: "v" ttl { seconds: 1 nanos: 2 } precondition { exists: false }
                return_previous: true as_text: true)")),
            std::nullopt);
  EXPECT_EQ(FindUnknownField(Proto<v1::ListRequest>(R"(
                range { span { start_key: "a" end_key: "b" } } page_size: -5
                consistency: CONSISTENCY_STALE)")),
            std::nullopt);
  EXPECT_EQ(FindUnknownField(Proto<v1::ListMembersResponse>(R"(
                header { cluster_id: 1 } members { id: 1 role: MEMBER_ROLE_VOTER }
                members { id: 2 role: MEMBER_ROLE_LEARNER })")),
            std::nullopt);
}

TEST(UnknownFieldsTest, AtTheTopWithEveryWireType) {
  v1::GetRequest request = Proto<v1::GetRequest>(R"(key: "k")");
  UnknownsOf(&request)->AddVarint(1000, 0);
  EXPECT_EQ(FindUnknownField(request), "field 1000");
  UnknownsOf(&request)->Clear();
  UnknownsOf(&request)->AddLengthDelimited(9, "");
  EXPECT_EQ(FindUnknownField(request), "field 9");
  UnknownsOf(&request)->Clear();
  UnknownsOf(&request)->AddFixed32(7, 0);
  EXPECT_EQ(FindUnknownField(request), "field 7");
  UnknownsOf(&request)->Clear();
  UnknownsOf(&request)->AddFixed64(8, 0);
  EXPECT_EQ(FindUnknownField(request), "field 8");
  UnknownsOf(&request)->Clear();
  EXPECT_EQ(FindUnknownField(request), std::nullopt);
}

TEST(UnknownFieldsTest, TheFirstOfSeveral) {
  v1::GetRequest request;
  UnknownsOf(&request)->AddVarint(1001, 1);
  UnknownsOf(&request)->AddVarint(1000, 1);
  EXPECT_EQ(FindUnknownField(request), "field 1001");
}

TEST(UnknownFieldsTest, AsBytesFromTheWire) {
  v1::GetRequest request;
  // Field 7, varint 5: a number that a later version may know.
  ASSERT_TRUE(request.ParseFromString("\x0a\x01k\x38\x05"));
  EXPECT_EQ(request.key(), "k");
  EXPECT_EQ(FindUnknownField(request), "field 7");
  // The field `key` with another wire type is not `key`.
  ASSERT_TRUE(request.ParseFromString("\x08\x05"));
  EXPECT_EQ(FindUnknownField(request), "field 1");
}

TEST(UnknownFieldsTest, InsideOfMessages) {
  v1::PutRequest put = Proto<v1::PutRequest>(R"(key: "k" precondition { version: 1 })");
  UnknownsOf(put.mutable_precondition())->AddVarint(9, 1);
  EXPECT_EQ(FindUnknownField(put), "precondition.field 9");

  // Only the unknown field is there: without it the condition would look empty.
  put.mutable_precondition()->clear_condition();
  EXPECT_EQ(FindUnknownField(put), "precondition.field 9");

  v1::ListRequest list = Proto<v1::ListRequest>(R"(range { span { start_key: "a" } })");
  UnknownsOf(list.mutable_range()->mutable_span())->AddVarint(3, 1);
  EXPECT_EQ(FindUnknownField(list), "range.span.field 3");

  put = Proto<v1::PutRequest>(R"(key: "k" ttl { seconds: 1 })");
  UnknownsOf(put.mutable_ttl())->AddVarint(3, 1);
  EXPECT_EQ(FindUnknownField(put), "ttl.field 3");
}

TEST(UnknownFieldsTest, InAnyOfRepeatedMessages) {
  for (int i = 0; i < 3; ++i) {
    auto response = Proto<v1::DeleteRangeResponse>("previous {} previous {} previous {}");
    UnknownsOf(response.mutable_previous(i)->mutable_ttl_remaining())->AddVarint(12, 1);
    EXPECT_EQ(FindUnknownField(response), "previous.ttl_remaining.field 12") << i;
  }
}

TEST(UnknownFieldsTest, EnumValues) {
  v1::ListRequest list = Proto<v1::ListRequest>(R"(range { prefix: "" })");
  list.set_consistency(static_cast<v1::Consistency>(7));
  EXPECT_EQ(FindUnknownField(list), "consistency = 7");
  list.set_consistency(static_cast<v1::Consistency>(-1));
  EXPECT_EQ(FindUnknownField(list), "consistency = -1");

  auto members = Proto<v1::ListMembersResponse>("members { role: MEMBER_ROLE_VOTER } members {}");
  members.mutable_members(1)->set_role(static_cast<v1::MemberRole>(3));
  EXPECT_EQ(FindUnknownField(members), "members.role = 3");
}

TEST(UnknownFieldsTest, RepeatedEnumValues) {
  google::protobuf::DescriptorPool pool;
  const auto* file = pool.BuildFile(Proto<google::protobuf::FileDescriptorProto>(R"(
      name: "colors.proto" syntax: "proto3"
      enum_type { name: "Color" value { name: "NONE" number: 0 } value { name: "RED" number: 1 } }
      message_type {
        name: "Flag"
        field { name: "colors" number: 1 label: LABEL_REPEATED type: TYPE_ENUM type_name: ".Color" }
      })"));
  ASSERT_NE(file, nullptr);
  google::protobuf::DynamicMessageFactory factory(&pool);
  const std::unique_ptr<Message> flag(
      factory.GetPrototype(file->FindMessageTypeByName("Flag"))->New());
  ASSERT_TRUE(flag->ParseFromString(std::string("\x0a\x03\x01\x00\x01", 5)));
  EXPECT_EQ(FindUnknownField(*flag), std::nullopt);
  ASSERT_TRUE(flag->ParseFromString(std::string("\x0a\x03\x01\x00\x05", 5)));
  EXPECT_EQ(FindUnknownField(*flag), "colors = 5");
}

}  // namespace
}  // namespace raftkv::server
