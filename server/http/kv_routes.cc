#include "server/http/kv_routes.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/duration.h"
#include "base/status_macros.h"
#include "kv/errors.h"
#include "raftkv/v1/kv.pb.h"
#include "server/http/answers.h"
#include "server/http/json.h"
#include "server/http/typed_call.h"

namespace raftkv::server {
namespace {

using HttpResult = absl::StatusOr<HttpAnswer>;

// Whether revisions and times to live are told, too: the others answer as people are used to.
enum class Style { kFull, kBrief };

absl::Status BadTtl(const std::string& text) {
  return kv::BadTtlError("ttl", absl::StrCat("is ", kv::EchoKey(text)),
                         "must be as \"5s\", \"300ms\" or \"1m30s\", or seconds as a number");
}

absl::StatusOr<google::protobuf::Duration> ParseTtl(const std::string& text) {
  const absl::StatusOr<absl::Duration> parsed = ParseDuration(text);
  if (!parsed.ok()) {
    return BadTtl(text);
  }
  absl::Duration rest = *parsed;
  google::protobuf::Duration ttl;
  ttl.set_seconds(absl::IDivDuration(rest, absl::Seconds(1), &rest));
  ttl.set_nanos(static_cast<int32_t>(absl::IDivDuration(rest, absl::Nanoseconds(1), &rest)));
  return ttl;
}

absl::Status SetTtl(const Json& json, v1::PutRequest* put) {
  if (!json.is_string() && !json.is_number()) {
    return BadTtl(WriteJson(json));
  }
  const std::string text = json.is_string() ? json.get<std::string>() : WriteJson(json);
  RAFTKV_ASSIGN_OR_RETURN(*put->mutable_ttl(), ParseTtl(text));
  return absl::OkStatus();
}

absl::StatusOr<std::string> TextOf(const std::string& name, const Json& json) {
  if (!json.is_string()) {
    return kv::MalformedTextError(
        absl::StrCat(name, ": must be a text, \"...\", not ", json.type_name()));
  }
  return json.get<std::string>();
}

// {"value", "ttl"?}, and "key" where it does not stand in the address.
absl::Status ReadPut(const std::string& body, bool with_key, v1::PutRequest* put) {
  RAFTKV_ASSIGN_OR_RETURN(const Json json, ParseJson(body));
  if (!json.is_object()) {
    return kv::MalformedTextError(
        absl::StrCat("body: must be an object, {\"value\": \"...\"}, not ", json.type_name()));
  }
  for (const auto& [name, value] : json.items()) {
    if (name == "value") {
      RAFTKV_ASSIGN_OR_RETURN(*put->mutable_text(), TextOf(name, value));
    } else if (name == "ttl") {
      RAFTKV_RETURN_IF_ERROR(SetTtl(value, put));
    } else if (name == "key" && with_key) {
      RAFTKV_ASSIGN_OR_RETURN(*put->mutable_key(), TextOf(name, value));
    } else {
      return kv::UnknownFieldError(name);
    }
  }
  return absl::OkStatus();
}

HttpResult FinishPut(ApiCaller* api, Style style, MonotonicNanos timeout, v1::PutRequest put) {
  Json json = {{"key", put.key()}};
  if (put.has_text()) {
    json["value"] = put.text();
  }
  RAFTKV_ASSIGN_OR_RETURN(
      const auto done,
      CallTyped<v1::PutResponse>(api, "/raftkv.v1.KvService/Put", std::move(put), timeout));
  json["message"] = "Key-value pair stored successfully";
  if (style == Style::kFull) {
    json["revision"] = done.message.mod_revision();
  }
  return JsonAnswer(json);
}

HttpResult Put(ApiCaller* api, Style style, const RoutedRequest& request) {
  v1::PutRequest put;
  put.set_key(request.key);
  RAFTKV_ASSIGN_OR_RETURN(const bool raw, request.parameters.IsOn("raw"));
  const std::optional<std::string> ttl = request.parameters.Find("ttl");
  if (raw) {
    put.set_data(request.http.body);
    if (ttl.has_value()) {
      RAFTKV_ASSIGN_OR_RETURN(*put.mutable_ttl(), ParseTtl(*ttl));
    }
  } else if (ttl.has_value()) {
    return kv::MalformedTextError("parameter ttl: goes with raw; without it, ttl is in the body");
  } else {
    RAFTKV_RETURN_IF_ERROR(ReadPut(request.http.body, /*with_key=*/false, &put));
  }
  return FinishPut(api, style, request.timeout, std::move(put));
}

HttpResult Set(ApiCaller* api, const RoutedRequest& request) {
  v1::PutRequest put;
  RAFTKV_RETURN_IF_ERROR(ReadPut(request.http.body, /*with_key=*/true, &put));
  return FinishPut(api, Style::kBrief, request.timeout, std::move(put));
}

Json KeyValueJson(const v1::KeyValue& kv, Style style) {
  Json json = {{"key", kv.key()}};
  if (kv.has_text()) {
    json["value"] = kv.text();
  } else if (kv.has_data()) {
    json["value_base64"] = absl::Base64Escape(kv.data());
  }
  if (style == Style::kFull) {
    json["mod_revision"] = kv.mod_revision();
    if (kv.has_ttl_remaining()) {
      json["ttl"] = absl::FormatDuration(absl::Seconds(kv.ttl_remaining().seconds()) +
                                         absl::Nanoseconds(kv.ttl_remaining().nanos()));
    }
  }
  return json;
}

HttpResult Get(ApiCaller* api, Style style, const std::string& key, const RoutedRequest& request) {
  RAFTKV_ASSIGN_OR_RETURN(const bool raw, request.parameters.IsOn("raw"));
  v1::GetRequest get;
  get.set_key(key);
  get.set_as_text(!raw);
  RAFTKV_ASSIGN_OR_RETURN(auto found, CallTyped<v1::GetResponse>(api, "/raftkv.v1.KvService/Get",
                                                                 get, request.timeout));
  if (!found.message.has_kv()) {
    return RefusalAnswer(404, absl::StatusCode::kNotFound, "KEY_NOT_FOUND",
                         absl::StrCat("no such key: ", kv::EchoKey(key)));
  }
  v1::KeyValue& kv = *found.message.mutable_kv();
  if (!raw) {
    return JsonAnswer(KeyValueJson(kv, style), std::move(found.room));
  }
  HttpAnswer answer;
  answer.content_type = "application/octet-stream";
  answer.body = std::move(*kv.mutable_data());
  answer.room = std::move(found.room);
  return answer;
}

HttpResult Delete(ApiCaller* api, const std::string& key, const RoutedRequest& request) {
  v1::DeleteRequest deletion;
  deletion.set_key(key);
  RAFTKV_ASSIGN_OR_RETURN(
      const auto done,
      CallTyped<v1::DeleteResponse>(api, "/raftkv.v1.KvService/Delete", deletion, request.timeout));
  const bool deleted = done.message.deleted();
  return JsonAnswer({{"key", key},
                     {"deleted", deleted},
                     {"message", deleted ? "Key deleted successfully" : "Key not found"}});
}

HttpResult List(ApiCaller* api, const RoutedRequest& request) {
  v1::ListRequest list;
  list.mutable_range()->set_prefix(request.parameters.Find("prefix").value_or(""));
  list.set_page_token(request.parameters.Find("page_token").value_or(""));
  list.set_as_text(true);
  RAFTKV_ASSIGN_OR_RETURN(const bool keys_only, request.parameters.IsOn("keys_only"));
  list.set_keys_only(keys_only);
  if (const auto text = request.parameters.Find("page_size"); text.has_value()) {
    int32_t page_size = 0;
    if (!absl::SimpleAtoi(*text, &page_size)) {
      return kv::MalformedTextError(
          absl::StrCat("parameter page_size: is ", kv::EchoKey(*text), "; must be a number"));
    }
    list.set_page_size(page_size);
  }
  RAFTKV_ASSIGN_OR_RETURN(auto page, CallTyped<v1::ListResponse>(api, "/raftkv.v1.KvService/List",
                                                                 list, request.timeout));
  Json kvs = Json::array();
  for (const v1::KeyValue& kv : page.message.kvs()) {
    kvs.push_back(KeyValueJson(kv, Style::kFull));
  }
  return JsonAnswer({{"kvs", std::move(kvs)}, {"next_page_token", page.message.next_page_token()}},
                    std::move(page.room));
}

// Where one route differs from the others, in a line each.
Route PutRoute(const std::string& pattern, Style style, ApiCaller* api) {
  return {.method = "PUT",
          .pattern = pattern,
          .parameters = {"raw", "ttl"},
          .handle = [=](const RoutedRequest& request) { return OrError(Put(api, style, request)); },
          .fail = ErrorAnswer};
}

Route GetRoute(const std::string& pattern, Style style, ApiCaller* api) {
  return {.method = "GET",
          .pattern = pattern,
          .parameters = {"raw"},
          .handle =
              [=](const RoutedRequest& request) {
                return OrError(Get(api, style, request.key, request));
              },
          .fail = ErrorAnswer};
}

Route DeleteRoute(const std::string& pattern, ApiCaller* api) {
  return {
      .method = "DELETE",
      .pattern = pattern,
      .parameters = {},
      .handle =
          [=](const RoutedRequest& request) { return OrError(Delete(api, request.key, request)); },
      .fail = ErrorAnswer};
}

std::string KeyParameter(const RoutedRequest& request) {
  return request.parameters.Find("key").value_or("");
}

}  // namespace

std::vector<Route> KvRoutes(ApiCaller* api) {
  std::vector<Route> routes = {
      {"GET",
       "/v1/kv",
       {"prefix", "page_size", "page_token", "keys_only"},
       [api](const RoutedRequest& request) { return OrError(List(api, request)); },
       ErrorAnswer},
      {"GET",
       "/get",
       {"key", "raw"},
       [api](const RoutedRequest& request) {
         return OrError(Get(api, Style::kBrief, KeyParameter(request), request));
       },
       ErrorAnswer},
      {"POST",
       "/set",
       {},
       [api](const RoutedRequest& request) { return OrError(Set(api, request)); },
       ErrorAnswer},
      {"DELETE",
       "/delete",
       {"key"},
       [api](const RoutedRequest& request) {
         return OrError(Delete(api, KeyParameter(request), request));
       },
       ErrorAnswer}};
  for (const auto& [pattern, style] :
       {std::pair("/v1/kv/{key}", Style::kFull), std::pair("/kv/{key}", Style::kBrief),
        std::pair("/key/{key}", Style::kBrief)}) {
    routes.push_back(PutRoute(pattern, style, api));
    routes.push_back(GetRoute(pattern, style, api));
    routes.push_back(DeleteRoute(pattern, api));
  }
  return routes;
}

}  // namespace raftkv::server
