#include "server/http/rpc_routes.h"

#include <google/protobuf/util/json_util.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kv/errors.h"
#include "server/http/answers.h"
#include "server/http/json.h"
#include "server/loop/unknown_fields.h"

namespace raftkv::server {
namespace {

using google::protobuf::Message;

absl::StatusOr<std::unique_ptr<Message>> ReadMessage(const Message& type, const std::string& body) {
  RAFTKV_ASSIGN_OR_RETURN(const Json json, ParseJson(body));
  if (!json.is_object()) {
    return kv::MalformedTextError(
        absl::StrCat("body: must be an object, {...}, not ", json.type_name()));
  }
  RAFTKV_RETURN_IF_ERROR(CheckIsMessage(json, *type.GetDescriptor()));
  std::unique_ptr<Message> message(type.New());
  const auto status = google::protobuf::util::JsonStringToMessage(body, message.get());
  if (!status.ok()) {
    return kv::MalformedTextError(
        absl::StrCat("body: ", std::string(status.message().data(), status.message().size())));
  }
  // A number that no value of an enum has.
  RAFTKV_RETURN_IF_ERROR(CheckFieldsAreKnown(*message));
  return message;
}

absl::StatusOr<HttpAnswer> WriteMessage(ApiCaller::Answer answer) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  HttpAnswer http;
  http.room = std::move(answer.room);
  const auto status =
      google::protobuf::util::MessageToJsonString(*answer.message, &http.body, options);
  if (!status.ok()) {
    return absl::InternalError("the answer cannot be written as JSON");
  }
  return http;
}

absl::StatusOr<HttpAnswer> CallMethod(const ClientService::Method& method, ApiCaller* api,
                                      const RoutedRequest& request) {
  RAFTKV_ASSIGN_OR_RETURN(std::unique_ptr<Message> message,
                          ReadMessage(*method.request, request.http.body));
  RAFTKV_ASSIGN_OR_RETURN(ApiCaller::Answer answer,
                          api->Call(method.path, std::move(message), request.timeout));
  return WriteMessage(std::move(answer));
}

bool IsJson(absl::string_view content_type) {
  return absl::StartsWithIgnoreCase(content_type, "application/json") &&
         (content_type.size() == 16 || content_type[16] == ';' || content_type[16] == ' ');
}

}  // namespace

Route RpcRoute(const ClientService::Method* method, ApiCaller* api) {
  const auto handle = [method, api](const RoutedRequest& request) {
    if (!IsJson(request.http.content_type)) {
      return RefusalAnswer(
          415, absl::StatusCode::kInvalidArgument, "NOT_JSON",
          absl::StrCat("header Content-Type: is ", kv::EchoKey(request.http.content_type),
                       "; must be application/json"));
    }
    absl::StatusOr<HttpAnswer> answer = CallMethod(*method, api, request);
    return answer.ok() ? *std::move(answer) : ConnectErrorAnswer(answer.status());
  };
  return {.method = "POST",
          .pattern = method->path,
          .parameters = {},
          .handle = handle,
          .fail = ConnectErrorAnswer,
          .only_reads = !method->writes()};
}

}  // namespace raftkv::server
