#include "server/http/rpc_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "kv/errors.h"
#include "raftkv/v1/kv.pb.h"
#include "server/http/json.h"
#include "tests/server/proto_text.h"

namespace raftkv::server {
namespace {

using google::protobuf::Message;
using testing::HasSubstr;

class RpcRoutesTest : public testing::Test, private ApiCaller {
 protected:
  RpcRoutesTest() {
    service_.AddMethod<v1::PutRequest>("Put", kv::UnreadOutcomeError,
                                       [](ApiCall*, const v1::PutRequest&) {});
  }

  HttpAnswer Post(const std::string& body, const std::string& content_type = "application/json") {
    HttpRequest request;
    request.method = "POST";
    request.path = "/raftkv.v1.KvService/Put";
    request.content_type = content_type;
    request.body = body;
    const RouteTable table({RpcRoute(&service_.methods().front(), this)});
    std::optional<HttpAnswer> refusal = table.Refuse(request);
    return refusal.has_value() ? *std::move(refusal) : table.Handle(request);
  }

  ClientService service_{"raftkv.v1.KvService"};
  std::string called_;
  absl::Status error_;

 private:
  absl::StatusOr<Answer> Call(const std::string& path, std::unique_ptr<Message> request,
                              MonotonicNanos /*timeout*/) override {
    called_ = path + " " + request->ShortDebugString();
    if (!error_.ok()) {
      return error_;
    }
    auto response = std::make_unique<v1::PutResponse>(
        Proto<v1::PutResponse>("header { member_id: 1 } mod_revision: 9007199254740993"));
    return Answer{.message = std::move(response), .room = nullptr};
  }
};

TEST_F(RpcRoutesTest, ReadsAndWritesProtobufsJson) {
  const HttpAnswer answer =
      Post(R"({"key":"k","text":"v","ttl":"1.5s","precondition":{"mod_revision":"7"}})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(called_,
            R"(/raftkv.v1.KvService/Put key: "k" text: "v" ttl { seconds: 1 nanos: 500000000 } )"
            R"(precondition { mod_revision: 7 })");
  const Json json = *ParseJson(answer.body);
  EXPECT_EQ(json["mod_revision"], "9007199254740993") << "a text: most readers would round it";
  EXPECT_EQ(json["header"]["member_id"], "1");
}

TEST_F(RpcRoutesTest, WhatWouldBeBentIsRefused) {
  for (const auto& [body, words] : std::vector<std::pair<std::string, std::string>>{
           {"", "byte 1"},
           {"[]", "must be an object"},
           {R"({"key":"a","key":"b"})", "is given twice"},
           {R"({"asText":true,"as_text":true})", "is given twice"},
           {R"({"precondition":{"mod_revision":9007199254740993.0}})", "whole number"},
           {R"({"precondition":{"mod_revision":"x"}})", "mod_revision"},
           {R"({"key":5,"ttl":5})", "body: "},
           {R"({"text":"a","data":"YQ=="})", "oneof"},
           {R"({"data":"Y"})", "data"},
           {R"({"ttl":"1m30s"})", "ttl"}}) {
    const HttpAnswer answer = Post(body);
    EXPECT_EQ(answer.status, 400) << body;
    const Json json = *ParseJson(answer.body);
    EXPECT_EQ(json["code"], "invalid_argument") << body;
    EXPECT_THAT(json["message"].get<std::string>(), HasSubstr(words)) << body;
  }
  EXPECT_EQ(called_, "");
}

TEST_F(RpcRoutesTest, WhatThisVersionDoesNotKnowIsUnimplemented) {
  const HttpAnswer answer = Post(R"({"key":"k","text":"v","precondition":{"sometime":1}})");
  EXPECT_EQ(answer.status, 501);
  EXPECT_THAT(answer.body, HasSubstr("precondition.sometime"));
  EXPECT_EQ(called_, "");
}

TEST_F(RpcRoutesTest, ItIsKnownWhichOnlyRead) {
  service_.AddMethod<v1::GetRequest>("Get", kv::UnreadError,
                                     [](ApiCall*, const v1::GetRequest&) {});
  EXPECT_TRUE(RpcRoute(&service_.methods().front(), nullptr).writes());
  EXPECT_FALSE(RpcRoute(&service_.methods().back(), nullptr).writes());
}

TEST_F(RpcRoutesTest, TakesJsonOnly) {
  for (const char* type : {"", "application/x-www-form-urlencoded", "application/jsonx",
                           "application/proto", "text/plain"}) {
    EXPECT_EQ(Post("{}", type).status, 415) << type;
  }
  for (const char* type : {"application/json; charset=utf-8", "Application/JSON"}) {
    EXPECT_EQ(Post("{}", type).status, 200) << type;
  }
}

TEST_F(RpcRoutesTest, ErrorsHaveTheProtocolsBody) {
  error_ = kv::PreconditionFailedError("k", 7);
  const HttpAnswer answer = Post(R"({"key":"k","text":"v"})");
  EXPECT_EQ(answer.status, 409);
  const Json json = *ParseJson(answer.body);
  EXPECT_EQ(json["code"], "aborted");
  EXPECT_EQ(json["details"][0]["type"], "google.rpc.ErrorInfo");
}

}  // namespace
}  // namespace raftkv::server
