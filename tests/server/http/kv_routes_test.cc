// What the routes ask the client API, and how they tell what it said.
#include "server/http/kv_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kv/errors.h"
#include "raftkv/v1/kv.pb.h"
#include "server/http/route_table.h"
#include "tests/server/proto_text.h"

namespace raftkv::server {
namespace {

using google::protobuf::Message;
using testing::HasSubstr;

// Remembers the last call, and answers as it was told.
class FakeApi final : public ApiCaller {
 public:
  absl::StatusOr<Answer> Call(const std::string& path, std::unique_ptr<Message> request,
                              MonotonicNanos timeout) override {
    called = absl::StrCat(path, " ", request->ShortDebugString());
    last_timeout = timeout;
    if (!error.ok()) {
      return error;
    }
    return Answer{.message = std::move(response), .room = nullptr};
  }

  std::unique_ptr<Message> response;
  absl::Status error;
  std::string called;
  MonotonicNanos last_timeout = 0;
};

class KvRoutesTest : public testing::Test {
 protected:
  // With what is to be answered, in protobuf's text format.
  template <typename Response>
  HttpAnswer Send(const std::string& method, const std::string& target, const std::string& body,
                  const std::string& response) {
    api_.response = std::make_unique<Response>(Proto<Response>(response));
    return Send(method, target, body);
  }
  HttpAnswer Send(const std::string& method, const std::string& target, const std::string& body) {
    HttpRequest request;
    request.method = method;
    const size_t question = target.find('?');
    request.path = target.substr(0, question);
    request.query = question == std::string::npos ? "" : target.substr(question + 1);
    request.body = body;
    std::optional<HttpAnswer> refusal = table_.Refuse(request);
    return refusal.has_value() ? *std::move(refusal) : table_.Handle(request);
  }

  FakeApi api_;
  const RouteTable table_{KvRoutes(&api_)};
};

constexpr char kStored[] = "Key-value pair stored successfully";

TEST_F(KvRoutesTest, PutsInEveryStyle) {
  const std::string brief = absl::StrCat(R"({"key":"k","value":"v","message":")", kStored, "\"}");
  for (const char* path : {"/kv/k", "/key/k"}) {
    const HttpAnswer answer =
        Send<v1::PutResponse>("PUT", path, R"({"value":"v"})", "mod_revision: 7");
    EXPECT_EQ(answer.body, brief);
    EXPECT_EQ(api_.called, R"(/raftkv.v1.KvService/Put key: "k" text: "v")");
  }
  EXPECT_EQ(Send<v1::PutResponse>("POST", "/set", R"({"key":"k","value":"v"})", "").body, brief);
  EXPECT_EQ(api_.called, R"(/raftkv.v1.KvService/Put key: "k" text: "v")");
  EXPECT_EQ(Send<v1::PutResponse>("PUT", "/v1/kv/k", R"({"value":"v"})", "mod_revision: 7").body,
            absl::StrCat(R"({"key":"k","value":"v","message":")", kStored, R"(","revision":7})"));
}

TEST_F(KvRoutesTest, TtlsAreTextsOrSeconds) {
  for (const auto& [ttl, expected] :
       std::vector<std::pair<std::string, std::string>>{{R"("5s")", "seconds: 5"},
                                                        {R"("300ms")", "nanos: 300000000"},
                                                        {R"("1m30s")", "seconds: 90"},
                                                        {R"("2")", "seconds: 2"},
                                                        {"5", "seconds: 5"},
                                                        {"1.5", "seconds: 1 nanos: 500000000"}}) {
    Send<v1::PutResponse>("PUT", "/v1/kv/k", absl::StrCat(R"({"value":"","ttl":)", ttl, "}"), "");
    EXPECT_EQ(api_.called,
              absl::StrCat(R"(/raftkv.v1.KvService/Put key: "k" text: "" ttl { )", expected, " }"))
        << ttl;
  }
  for (const char* ttl : {R"("soon")", R"("")", "true", "null", "[5]", R"("inf")"}) {
    const HttpAnswer answer =
        Send("PUT", "/v1/kv/k", absl::StrCat(R"({"value":"","ttl":)", ttl, "}"));
    EXPECT_EQ(answer.status, 400) << ttl;
    EXPECT_THAT(answer.body, HasSubstr("BAD_TTL")) << ttl;
  }
}

TEST_F(KvRoutesTest, RawBytesComeAndGoAsTheyAre) {
  const std::string bytes("\0\xFF{", 3);
  Send<v1::PutResponse>("PUT", "/v1/kv/k?raw&ttl=5s", bytes, "mod_revision: 7");
  EXPECT_EQ(api_.called,
            R"(/raftkv.v1.KvService/Put key: "k" data: "\000\377{" ttl { seconds: 5 })");
  const HttpAnswer answer =
      Send<v1::GetResponse>("GET", "/v1/kv/k?raw", "", R"(kv { key: "k" data: "\000\377{" })");
  EXPECT_EQ(answer.body, bytes);
  EXPECT_EQ(answer.content_type, "application/octet-stream");
  EXPECT_EQ(api_.called, R"(/raftkv.v1.KvService/Get key: "k")");
  EXPECT_THAT(Send("PUT", "/v1/kv/k?ttl=5s", "{}").body, HasSubstr("goes with raw"));
}

TEST_F(KvRoutesTest, GetsInEveryStyle) {
  constexpr char kFound[] =
      R"(kv { key: "k" text: "v" mod_revision: 9007199254740993 ttl_remaining { seconds: 90 } })";
  for (const char* path : {"/kv/k", "/key/k", "/get?key=k"}) {
    EXPECT_EQ(Send<v1::GetResponse>("GET", path, "", kFound).body, R"({"key":"k","value":"v"})");
    EXPECT_EQ(api_.called, R"(/raftkv.v1.KvService/Get key: "k" as_text: true)");
  }
  EXPECT_EQ(Send<v1::GetResponse>("GET", "/v1/kv/k", "", kFound).body,
            R"({"key":"k","value":"v","mod_revision":9007199254740993,"ttl":"1m30s"})");
  EXPECT_EQ(Send<v1::GetResponse>("GET", "/kv/k", "", R"(kv { key: "k" data: "\377" })").body,
            R"({"key":"k","value_base64":"/w=="})");
  const HttpAnswer missing = Send<v1::GetResponse>("GET", "/kv/k", "", "");
  EXPECT_EQ(missing.status, 404);
  EXPECT_THAT(missing.body, HasSubstr("KEY_NOT_FOUND"));
}

TEST_F(KvRoutesTest, DeletesInEveryStyle) {
  for (const char* path : {"/v1/kv/k", "/kv/k", "/key/k", "/delete?key=k"}) {
    EXPECT_EQ(Send<v1::DeleteResponse>("DELETE", path, "", "deleted: true").body,
              R"({"key":"k","deleted":true,"message":"Key deleted successfully"})");
    EXPECT_EQ(api_.called, R"(/raftkv.v1.KvService/Delete key: "k")");
    EXPECT_EQ(Send<v1::DeleteResponse>("DELETE", path, "", "").body,
              R"({"key":"k","deleted":false,"message":"Key not found"})");
  }
}

TEST_F(KvRoutesTest, Lists) {
  EXPECT_EQ(Send<v1::ListResponse>(
                "GET", "/v1/kv?prefix=a%2F&page_size=2&page_token=t&keys_only&timeout=1s", "",
                R"(kvs { key: "a/1" mod_revision: 3 } next_page_token: "n")")
                .body,
            R"({"kvs":[{"key":"a/1","mod_revision":3}],"next_page_token":"n"})");
  EXPECT_EQ(api_.called,
            R"(/raftkv.v1.KvService/List range { prefix: "a/" } page_size: 2 page_token: "t" )"
            R"(keys_only: true as_text: true)");
  EXPECT_EQ(api_.last_timeout, kNanosPerSecond);
  EXPECT_EQ(Send<v1::ListResponse>("GET", "/v1/kv", "", "").body,
            R"({"kvs":[],"next_page_token":""})");
  EXPECT_EQ(api_.called, R"(/raftkv.v1.KvService/List range { prefix: "" } as_text: true)");
  EXPECT_THAT(Send("GET", "/v1/kv?page_size=many", "").body, HasSubstr("\\\"many\\\""));
}

TEST_F(KvRoutesTest, BadBodiesAreRefusedBeforeAnybodyIsAsked) {
  for (const auto& [body, words] : std::vector<std::pair<std::string, std::string>>{
           {"", "byte 1"},
           {"{\"value\":", "byte 10"},
           {R"({"value":"a","value":"b"})", "is given twice"},
           {R"({"value":5})", "value: must be a text"},
           {R"({"value":null})", "value: must be a text"},
           {R"(["value"])", "must be an object"},
           {R"({"value":"v","key":"k"})", "UNKNOWN_FIELD"},
           {R"({"value":"v","tll":"5s"})", "UNKNOWN_FIELD"}}) {
    const HttpAnswer answer = Send("PUT", "/v1/kv/k", body);
    EXPECT_GE(answer.status, 400) << body;
    EXPECT_THAT(answer.body, HasSubstr(words)) << body;
  }
  EXPECT_EQ(api_.called, "");
}

// Whether a value is there, and what a key may be, is the API's to say.
TEST_F(KvRoutesTest, ErrorsOfTheApiComeThrough) {
  api_.error = kv::NoLeaderError();
  for (const auto& [method, target] : std::vector<std::pair<std::string, std::string>>{
           {"PUT", "/v1/kv/k"}, {"GET", "/kv/k"}, {"DELETE", "/delete?key=k"}, {"GET", "/v1/kv"}}) {
    const HttpAnswer answer = Send(method, target, "{}");
    EXPECT_EQ(answer.status, 503) << target;
    EXPECT_THAT(answer.body, HasSubstr("NO_LEADER")) << target;
  }
  EXPECT_THAT(Send("GET", "/get", "").body, HasSubstr("NO_LEADER"));
  EXPECT_EQ(api_.called, "/raftkv.v1.KvService/Get as_text: true") << "no key is an empty one";
}

}  // namespace
}  // namespace raftkv::server
