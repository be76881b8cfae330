#include "server/http/status_routes.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "grpc/health/v1/health.pb.h"
#include "kv/errors.h"
#include "raftkv/v1/cluster.pb.h"
#include "server/http/answers.h"
#include "server/http/json.h"
#include "server/http/typed_call.h"

namespace raftkv::server {
namespace {

using HttpResult = absl::StatusOr<HttpAnswer>;

// "RAFT_STATE_PRE_CANDIDATE" as people say it.
std::string Word(absl::string_view name, absl::string_view prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

absl::StatusOr<v1::ListMembersResponse> ListMembers(ApiCaller* api, v1::Consistency consistency,
                                                    MonotonicNanos timeout) {
  v1::ListMembersRequest request;
  request.set_consistency(consistency);
  RAFTKV_ASSIGN_OR_RETURN(
      auto answer, CallTyped<v1::ListMembersResponse>(api, "/raftkv.v1.ClusterService/ListMembers",
                                                      request, timeout));
  return std::move(answer.message);
}

Json MembersJson(const v1::ListMembersResponse& members) {
  Json json = Json::array();
  for (const v1::Member& member : members.members()) {
    json.push_back({{"id", member.id()},
                    {"name", member.name()},
                    {"role", Word(v1::MemberRole_Name(member.role()), "MEMBER_ROLE_")},
                    {"is_leader", member.is_leader()},
                    {"peer_address", member.peer_address()},
                    {"client_address", member.client_address()},
                    {"version", member.version()},
                    {"priority", member.priority()}});
  }
  return json;
}

Json LeaderJson(const v1::ListMembersResponse& members) {
  for (const v1::Member& member : members.members()) {
    if (member.is_leader()) {
      return {{"id", member.id()}, {"name", member.name()}};
    }
  }
  return nullptr;
}

Json MemoryJson(const v1::MemoryUse& memory) {
  return {{"planned_bytes", memory.planned_bytes()},
          {"resident_bytes", memory.resident_bytes()},
          {"cached_block_bytes", memory.cached_block_bytes()},
          {"write_buffer_bytes", memory.write_buffer_bytes()},
          {"log_bytes", memory.log_bytes()},
          {"unsent_answer_bytes", memory.unsent_answer_bytes()}};
}

// From the member that is asked alone, so that it answers without a quorum, too.
HttpResult ShowStatus(ApiCaller* api, const RoutedRequest& request) {
  RAFTKV_ASSIGN_OR_RETURN(const auto answer, CallTyped<v1::GetStatusResponse>(
                                                 api, "/raftkv.v1.ClusterService/GetStatus",
                                                 v1::GetStatusRequest(), request.timeout));
  RAFTKV_ASSIGN_OR_RETURN(const v1::ListMembersResponse members,
                          ListMembers(api, v1::CONSISTENCY_STALE, request.timeout));
  const v1::GetStatusResponse& status = answer.message;
  const absl::Duration uptime = absl::Seconds(status.uptime().seconds());
  return JsonAnswer(
      {{"name", status.name()},
       {"id", status.header().member_id()},
       {"version", status.version()},
       {"state", Word(v1::RaftState_Name(status.raft_state()), "RAFT_STATE_")},
       {"role", Word(v1::MemberRole_Name(status.role()), "MEMBER_ROLE_")},
       // As a text, as protobuf's JSON has it: most readers would round the number.
       {"cluster_id", absl::StrCat(status.header().cluster_id())},
       {"leader", LeaderJson(members)},
       {"term", status.header().raft_term()},
       {"last_index", status.last_index()},
       {"commit_index", status.commit_index()},
       {"applied_index", status.applied_index()},
       {"lag", status.commit_index() - status.applied_index()},
       {"revision", status.header().revision()},
       {"keys", status.key_count()},
       {"disk_bytes", status.disk_bytes()},
       {"memory_bytes", status.memory().resident_bytes()},
       {"memory", MemoryJson(status.memory())},
       {"uptime", absl::FormatDuration(uptime)},
       {"uptime_seconds", status.uptime().seconds()},
       {"members", MembersJson(members)},
       {"warnings", std::vector<std::string>(status.warnings().begin(), status.warnings().end())}});
}

HttpResult ShowMembers(ApiCaller* api, const RoutedRequest& request) {
  RAFTKV_ASSIGN_OR_RETURN(const v1::ListMembersResponse members,
                          ListMembers(api, v1::CONSISTENCY_STALE, request.timeout));
  return JsonAnswer({{"members", MembersJson(members)}});
}

// What grpc.health.v1 says of a service.
absl::Status CheckHealth(ApiCaller* api, const std::string& service, absl::string_view problem,
                         MonotonicNanos timeout) {
  using grpc::health::v1::HealthCheckResponse;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  RAFTKV_ASSIGN_OR_RETURN(
      const auto answer,
      CallTyped<HealthCheckResponse>(api, "/grpc.health.v1.Health/Check", request, timeout));
  return answer.message.status() == HealthCheckResponse::SERVING ? absl::OkStatus()
                                                                 : absl::UnavailableError(problem);
}

struct NamedCheck {
  std::string name;
  absl::Status status;
};

// The last one is a read index: what a linearizable read needs, and never a write.
std::vector<NamedCheck> RunChecks(ApiCaller* api, MonotonicNanos timeout) {
  return {{"serving", CheckHealth(api, "", "the member is stopping", timeout)},
          {"caught_up",
           CheckHealth(api, "raftkv.v1.KvService",
                       "no leader is known, or nothing of its term is applied yet", timeout)},
          {"linearizable_read", ListMembers(api, v1::CONSISTENCY_LINEARIZABLE, timeout).status()}};
}

HttpAnswer ShowHealth(ApiCaller* api, const RoutedRequest& request) {
  Json reasons = Json::array();
  for (const NamedCheck& check : RunChecks(api, request.timeout)) {
    if (!check.status.ok()) {
      reasons.push_back(absl::StrCat(check.name, ": ", check.status.message()));
    }
  }
  if (reasons.empty()) {
    return JsonAnswer({{"healthy", true}});
  }
  HttpAnswer answer = JsonAnswer({{"healthy", false}, {"reasons", std::move(reasons)}});
  answer.status = 503;
  return answer;
}

// "ok", or a line for each check when it is asked for or when one fails.
HttpAnswer ChecksAnswer(const std::vector<NamedCheck>& checks, bool verbose) {
  HttpAnswer answer;
  answer.content_type = "text/plain; charset=utf-8";
  for (const NamedCheck& check : checks) {
    if (check.status.ok()) {
      absl::StrAppend(&answer.body, "[+]", check.name, " ok\n");
    } else {
      absl::StrAppend(&answer.body, "[-]", check.name, " failed: ", check.status.message(), "\n");
      answer.status = 503;
    }
  }
  if (answer.status == 200 && !verbose) {
    answer.body = "ok\n";
  }
  return answer;
}

HttpResult ShowReady(ApiCaller* api, const RoutedRequest& request) {
  RAFTKV_ASSIGN_OR_RETURN(const bool verbose, request.parameters.IsOn("verbose"));
  return ChecksAnswer(RunChecks(api, request.timeout), verbose);
}

HttpResult ShowLive(ApiCaller* api, const RoutedRequest& request) {
  RAFTKV_ASSIGN_OR_RETURN(const bool verbose, request.parameters.IsOn("verbose"));
  return ChecksAnswer(
      {{"serving", CheckHealth(api, "", "the member is stopping", request.timeout)}}, verbose);
}

HttpResult ShowMetrics(const MetricsPage& metrics, const RoutedRequest& request) {
  HttpAnswer answer;
  answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
  RAFTKV_ASSIGN_OR_RETURN(answer.body, metrics(request.timeout));
  return answer;
}

Route Page(const std::string& path, std::vector<std::string> parameters,
           std::function<HttpResult(const RoutedRequest&)> show) {
  return {.method = "GET",
          .pattern = path,
          .parameters = std::move(parameters),
          .handle = [show = std::move(show)](
                        const RoutedRequest& request) { return OrError(show(request)); },
          .fail = ErrorAnswer};
}

// {"node_id", "raft_address"}.
HttpResult Join(ApiCaller* api, const RoutedRequest& request) {
  v1::AddMemberRequest add;
  RAFTKV_ASSIGN_OR_RETURN(const Json json, ParseJson(request.http.body));
  if (!json.is_object()) {
    return kv::MalformedTextError(absl::StrCat(
        "body: must be an object, {\"node_id\": \"...\", \"raft_address\": \"host:port\"}, not ",
        json.type_name()));
  }
  for (const auto& [name, value] : json.items()) {
    if (name != "node_id" && name != "raft_address") {
      return kv::UnknownFieldError(name);
    }
    if (!value.is_string()) {
      return kv::MalformedTextError(
          absl::StrCat(name, ": must be a text, \"...\", not ", value.type_name()));
    }
    (name == "node_id" ? *add.mutable_name() : *add.mutable_peer_address()) =
        value.get<std::string>();
  }
  RAFTKV_ASSIGN_OR_RETURN(
      const auto done, CallTyped<v1::AddMemberResponse>(api, "/raftkv.v1.ClusterService/AddMember",
                                                        add, request.timeout));
  const v1::Member& member = done.message.member();
  return JsonAnswer({{"id", member.id()},
                     {"node_id", member.name()},
                     {"raft_address", member.peer_address()},
                     {"role", Word(v1::MemberRole_Name(member.role()), "MEMBER_ROLE_")},
                     {"message", "Node joined successfully"}});
}

}  // namespace

std::vector<Route> StatusRoutes(ApiCaller* api, MetricsPage metrics) {
  return {
      Page("/status", {}, [api](const auto& request) { return ShowStatus(api, request); }),
      Page("/members", {}, [api](const auto& request) { return ShowMembers(api, request); }),
      Page("/health", {},
           [api](const auto& request) -> HttpResult { return ShowHealth(api, request); }),
      Page("/livez", {"verbose"}, [api](const auto& request) { return ShowLive(api, request); }),
      Page("/readyz", {"verbose"}, [api](const auto& request) { return ShowReady(api, request); }),
      Page("/version", {},
           [](const auto&) -> HttpResult {
             return JsonAnswer({{"version", kVersion}});
           }),
      Page("/metrics", {},
           [metrics = std::move(metrics)](const auto& request) {
             return ShowMetrics(metrics, request);
           }),
      {"POST",
       "/join",
       {},
       [api](const RoutedRequest& request) { return OrError(Join(api, request)); },
       ErrorAnswer}};
}

}  // namespace raftkv::server
