#include "client/ctl/output.h"

#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/version.h"
#include "client/ctl/escape.h"
#include "client/ctl/output_json.h"
#include "client/ctl/table.h"
#include "client/errors.h"

namespace raftkv::ctl {
namespace {

std::string ForTerminal(const std::string& text, const KeyView& view) {
  return view.for_terminal ? EscapeControls(text, Newlines::kKeep) : text;
}

absl::string_view RoleName(MemberRole role) {
  switch (role) {
    case MemberRole::kVoter:
      return "voter";
    case MemberRole::kLearner:
      return "learner";
    case MemberRole::kUnspecified:
      return "unknown";
  }
  return "unknown";
}

std::string FormatTook(absl::Duration took) {
  return absl::StrFormat("%.1fms", absl::ToDoubleMilliseconds(took));
}

Json ErrorToJson(const absl::Status& status) {
  return Json{{"code", absl::StatusCodeToString(status.code())},
              {"reason", ErrorReason(status)},
              {"message", std::string(status.message())}};
}

std::vector<std::string> MemberCells(const Member& member) {
  return {absl::StrCat(member.id),
          member.name,
          std::string(RoleName(member.role)),
          member.peer_address,
          member.client_address,
          member.version,
          member.is_leader ? "true" : "false",
          absl::StrCat(member.priority)};
}

Json ToJson(const Member& member) {
  return Json{{"id", member.id},
              {"name", member.name},
              {"peer_address", member.peer_address},
              {"client_address", member.client_address},
              {"role", std::string(RoleName(member.role))},
              {"is_leader", member.is_leader},
              {"version", member.version},
              {"priority", member.priority}};
}

std::vector<std::string> StatusCells(const EndpointStatus& endpoint) {
  if (!endpoint.status.ok()) {
    return {endpoint.endpoint,
            "",
            "",
            "",
            "unreachable",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            std::string(endpoint.status.status().message())};
  }
  const MemberStatus& status = *endpoint.status;
  return {endpoint.endpoint,
          absl::StrCat(status.header.member_id),
          status.name,
          status.version,
          std::string(StateName(status)),
          absl::StrCat(status.header.raft_term),
          absl::StrCat(status.last_index),
          absl::StrCat(status.commit_index),
          absl::StrCat(status.applied_index),
          absl::StrCat(status.header.revision),
          absl::StrCat(status.key_count),
          FormatBytes(status.disk_bytes),
          FormatBytes(status.memory.resident_bytes),
          absl::StrJoin(status.warnings, "; ")};
}

Json ToJson(const Latency& latency) {
  return Json{{"count", latency.count},
              {"p50", absl::FormatDuration(latency.p50)},
              {"p99", absl::FormatDuration(latency.p99)}};
}

Json ToJson(const RequestStats& requests) {
  return Json{{"window", absl::FormatDuration(requests.window)},
              {"reads", ToJson(requests.reads)},
              {"writes", ToJson(requests.writes)},
              {"failed", ToJson(requests.failed)},
              {"syncs", ToJson(requests.syncs)}};
}

Json ToJson(const PeerStatus& peer) {
  Json json{{"id", peer.id}, {"reachable", peer.reachable}};
  if (!peer.reachable) {
    json["unreachable_for"] = absl::FormatDuration(peer.unreachable_for);
  }
  json["match_index"] = peer.match_index;
  return json;
}

Json ToJson(const EndpointStatus& endpoint) {
  Json json{{"endpoint", endpoint.endpoint}};
  if (!endpoint.status.ok()) {
    json["error"] = ErrorToJson(endpoint.status.status());
    return json;
  }
  const MemberStatus& status = *endpoint.status;
  json["header"] = ctl::ToJson(status.header);
  json["name"] = status.name;
  json["version"] = status.version;
  json["raft_state"] = std::string(StateName(status));
  json["role"] = std::string(RoleName(status.role));
  json["last_index"] = status.last_index;
  json["commit_index"] = status.commit_index;
  json["applied_index"] = status.applied_index;
  json["key_count"] = status.key_count;
  json["disk_bytes"] = status.disk_bytes;
  json["memory"] = {{"planned_bytes", status.memory.planned_bytes},
                    {"resident_bytes", status.memory.resident_bytes},
                    {"cached_block_bytes", status.memory.cached_block_bytes},
                    {"write_buffer_bytes", status.memory.write_buffer_bytes},
                    {"log_bytes", status.memory.log_bytes},
                    {"unsent_answer_bytes", status.memory.unsent_answer_bytes}};
  json["uptime"] = absl::FormatDuration(status.uptime);
  json["warnings"] = status.warnings;
  json["requests"] = ToJson(status.requests);
  json["peers"] = Json::array();
  for (const PeerStatus& peer : status.peers) {
    json["peers"].push_back(ToJson(peer));
  }
  json["watches"] = ctl::ToJson(status.watches);
  return json;
}

std::string HealthLine(const EndpointHealth& endpoint) {
  if (endpoint.took.ok()) {
    return absl::StrCat(endpoint.endpoint,
                        " is healthy: read index took = ", FormatTook(*endpoint.took), "\n");
  }
  const absl::Status& status = endpoint.took.status();
  const std::string why = status.message().empty() ? absl::StatusCodeToString(status.code())
                                                   : std::string(status.message());
  return absl::StrCat(endpoint.endpoint, " is unhealthy: ", EscapeControls(why, Newlines::kEscape),
                      "\n");
}

Json ToJson(const EndpointHealth& endpoint) {
  Json json{{"endpoint", endpoint.endpoint}, {"health", endpoint.took.ok()}};
  if (endpoint.took.ok()) {
    json["took"] = FormatTook(*endpoint.took);
  } else {
    json["error"] = ErrorToJson(endpoint.took.status());
  }
  return json;
}

// As text, as the cluster id is.
std::string HashText(uint64_t hash) { return absl::StrFormat("%016x", hash); }

std::vector<std::string> HashCells(const EndpointHash& endpoint) {
  if (!endpoint.hash.ok()) {
    return {
        endpoint.endpoint, "", "", "", "", "", "", std::string(endpoint.hash.status().message())};
  }
  const VerifyHashResult& hash = *endpoint.hash;
  return {endpoint.endpoint,
          absl::StrCat(hash.header.member_id),
          absl::StrCat(hash.index),
          absl::StrCat(hash.revision),
          absl::StrCat(hash.key_count),
          HashText(hash.state_hash),
          hash.scanned ? "true" : "false",
          ""};
}

Json ToJson(const EndpointHash& endpoint) {
  Json json{{"endpoint", endpoint.endpoint}};
  if (!endpoint.hash.ok()) {
    json["error"] = ErrorToJson(endpoint.hash.status());
    return json;
  }
  const VerifyHashResult& hash = *endpoint.hash;
  json["header"] = ctl::ToJson(hash.header);
  json["index"] = hash.index;
  json["revision"] = hash.revision;
  json["key_count"] = hash.key_count;
  json["state_hash"] = HashText(hash.state_hash);
  json["scanned"] = hash.scanned;
  return json;
}

template <typename Items>
std::string JsonArrayLine(const Items& items) {
  Json array = Json::array();
  for (const auto& item : items) {
    array.push_back(ToJson(item));
  }
  return Line(array);
}

}  // namespace

std::string FormatBytes(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  double amount = static_cast<double>(bytes);
  size_t unit = 0;
  while (amount >= 999.5 && unit + 1 < std::size(kUnits)) {
    amount /= 1000;
    ++unit;
  }
  return unit == 0 || amount >= 9.95 ? absl::StrFormat("%.0f %s", amount, kUnits[unit])
                                     : absl::StrFormat("%.1f %s", amount, kUnits[unit]);
}

absl::string_view StateName(const MemberStatus& status) {
  switch (status.raft_state) {
    case RaftState::kFollower:
      return status.role == MemberRole::kLearner ? "learner" : "follower";
    case RaftState::kPreCandidate:
      return "pre-candidate";
    case RaftState::kCandidate:
      return "candidate";
    case RaftState::kLeader:
      return "leader";
    case RaftState::kUnspecified:
      return "unfounded";
  }
  return "unknown";
}

std::string FormatPut(OutputFormat format, const PutResult& result) {
  switch (format) {
    case OutputFormat::kSimple:
      return "OK\n";
    case OutputFormat::kJson:
      return Line(Json{{"header", ToJson(result.header)}, {"mod_revision", result.mod_revision}});
    case OutputFormat::kTable:
      return FormatTable({"MOD REVISION"}, {{absl::StrCat(result.mod_revision)}});
  }
  return "";
}

std::string FormatDeleted(OutputFormat format, const ResponseHeader& header, int64_t deleted) {
  switch (format) {
    case OutputFormat::kSimple:
      return absl::StrCat(deleted, "\n");
    case OutputFormat::kJson:
      return Line(Json{{"header", ToJson(header)}, {"deleted", deleted}});
    case OutputFormat::kTable:
      return FormatTable({"DELETED", "REVISION"},
                         {{absl::StrCat(deleted), absl::StrCat(header.revision)}});
  }
  return "";
}

std::string FormatTouched(OutputFormat format, const TouchResult& result) {
  const int touched = result.touched ? 1 : 0;
  switch (format) {
    case OutputFormat::kSimple:
      return absl::StrCat(touched, "\n");
    case OutputFormat::kJson:
      return Line(Json{{"header", ToJson(result.header)}, {"touched", result.touched}});
    case OutputFormat::kTable:
      return FormatTable({"TOUCHED"}, {{absl::StrCat(touched)}});
  }
  return "";
}

std::string FormatSum(OutputFormat format, const IncrementResult& result) {
  switch (format) {
    case OutputFormat::kSimple:
      return absl::StrCat(result.value, "\n");
    case OutputFormat::kJson:
      return Line(Json{{"header", ToJson(result.header)},
                       {"value", result.value},
                       {"mod_revision", result.mod_revision}});
    case OutputFormat::kTable:
      return FormatTable({"VALUE", "MOD REVISION"},
                         {{absl::StrCat(result.value), absl::StrCat(result.mod_revision)}});
  }
  return "";
}

namespace {

struct OpResultText {
  std::string operator()(const GetResult& get) const {
    return get.kv.has_value() ? FormatKeySimple(*get.kv, view) : "";
  }
  std::string operator()(const ListResult& list) const {
    std::string text;
    for (const KeyValue& kv : list.kvs) {
      text += FormatKeySimple(kv, view);
    }
    return text;
  }
  std::string operator()(const PutResult&) const { return "OK\n"; }
  std::string operator()(const DeleteResult& deletion) const {
    return deletion.deleted ? "1\n" : "0\n";
  }
  std::string operator()(const DeleteRangeResult& deletion) const {
    return absl::StrCat(deletion.deleted, "\n");
  }
  std::string operator()(const TouchResult& touch) const { return touch.touched ? "1\n" : "0\n"; }
  std::string operator()(const IncrementResult& sum) const { return absl::StrCat(sum.value, "\n"); }
  std::string operator()(const NestedTxnResult& txn) const { return (*this)(*txn.result); }
  std::string operator()(const TxnResult& txn) const {
    std::string text = txn.succeeded ? "SUCCESS\n" : "FAILURE\n";
    for (const TxnOpResult& each : txn.results) {
      text += "\n" + std::visit(*this, each);
    }
    return text;
  }

  const KeyView& view;
};

struct OpResultJson {
  Json operator()(const GetResult& get) const {
    return Json{
        {"kvs", get.kv.has_value() ? Json::array({ToJson(*get.kv, KeyView())}) : Json::array()}};
  }
  Json operator()(const ListResult& list) const {
    Json kvs = Json::array();
    for (const KeyValue& kv : list.kvs) {
      kvs.push_back(ToJson(kv, KeyView()));
    }
    return Json{{"kvs", std::move(kvs)}};
  }
  Json operator()(const PutResult& put) const { return Json{{"mod_revision", put.mod_revision}}; }
  Json operator()(const DeleteResult& deletion) const {
    return Json{{"deleted", deletion.deleted ? 1 : 0}};
  }
  Json operator()(const DeleteRangeResult& deletion) const {
    return Json{{"deleted", deletion.deleted}};
  }
  Json operator()(const TouchResult& touch) const { return Json{{"touched", touch.touched}}; }
  Json operator()(const IncrementResult& sum) const {
    return Json{{"value", sum.value}, {"mod_revision", sum.mod_revision}};
  }
  Json operator()(const NestedTxnResult& txn) const { return (*this)(*txn.result); }
  Json operator()(const TxnResult& txn) const {
    Json results = Json::array();
    for (const TxnOpResult& each : txn.results) {
      results.push_back(std::visit(*this, each));
    }
    return Json{{"succeeded", txn.succeeded}, {"results", std::move(results)}};
  }
};

}  // namespace

std::string FormatTxn(OutputFormat format, const TxnResult& result, const KeyView& view) {
  if (format != OutputFormat::kJson) {
    return OpResultText{view}(result);
  }
  Json json = Json{{"header", ToJson(result.header)}};
  json.update(OpResultJson()(result));
  return Line(json);
}

std::string FormatLeader(OutputFormat format, const ResponseHeader& header) {
  switch (format) {
    case OutputFormat::kSimple:
      return absl::StrCat("member ", header.leader_id, " leads\n");
    case OutputFormat::kJson:
      return Line(Json{{"header", ToJson(header)}});
    case OutputFormat::kTable:
      return FormatTable({"LEADER ID", "TERM"},
                         {{absl::StrCat(header.leader_id), absl::StrCat(header.raft_term)}});
  }
  return "";
}

std::string FormatKeySimple(const KeyValue& kv, const KeyView& view) {
  std::string text;
  if (!view.print_value_only) {
    absl::StrAppend(&text, ForTerminal(kv.key, view), "\n");
  }
  if (!view.keys_only) {
    absl::StrAppend(&text, ForTerminal(kv.value, view), "\n");
  }
  return text;
}

std::string FormatKeys(OutputFormat format, const ResponseHeader& header,
                       const std::vector<KeyValue>& kvs, const KeyView& view) {
  if (format == OutputFormat::kSimple) {
    return absl::StrJoin(
        kvs, "", [&](std::string* out, const KeyValue& kv) { *out += FormatKeySimple(kv, view); });
  }
  if (format == OutputFormat::kJson) {
    Json list = Json::array();
    for (const KeyValue& kv : kvs) {
      list.push_back(ToJson(kv, view));
    }
    return Line(Json{{"header", ToJson(header)}, {"kvs", list}, {"count", kvs.size()}});
  }
  std::vector<std::vector<std::string>> rows;
  for (const KeyValue& kv : kvs) {
    rows.push_back({kv.key, kv.value, absl::StrCat(kv.create_revision),
                    absl::StrCat(kv.mod_revision), absl::StrCat(kv.version),
                    kv.ttl_remaining.has_value() ? absl::FormatDuration(*kv.ttl_remaining) : ""});
  }
  return FormatTable({"KEY", "VALUE", "CREATE REVISION", "MOD REVISION", "VERSION", "TTL"}, rows);
}

absl::string_view EventTypeName(EventType type) {
  switch (type) {
    case EventType::kPut:
      return "PUT";
    case EventType::kDelete:
      return "DELETE";
    case EventType::kExpire:
      return "EXPIRE";
  }
  return "UNKNOWN";
}

std::string FormatEvent(OutputFormat format, const Event& event, const KeyView& view) {
  KeyView shown = view;
  shown.keys_only = view.keys_only || event.type != EventType::kPut;
  if (format != OutputFormat::kSimple) {
    Json json{{"type", std::string(EventTypeName(event.type))}, {"kv", ToJson(event.kv, shown)}};
    if (event.previous.has_value()) {
      json["previous"] = ToJson(*event.previous, view);
    }
    return Line(json);
  }
  return absl::StrCat(EventTypeName(event.type), "\n",
                      event.previous.has_value() ? FormatKeySimple(*event.previous, view) : "",
                      FormatKeySimple(event.kv, shown));
}

std::string FormatCompacted(OutputFormat format, const CompactResult& result) {
  if (format == OutputFormat::kSimple) {
    return absl::StrCat("compacted revision ", result.compact_revision, "\n");
  }
  return Line(
      Json{{"header", ToJson(result.header)}, {"compact_revision", result.compact_revision}});
}

std::string FormatMembers(OutputFormat format, const ListMembersResult& result) {
  if (format == OutputFormat::kJson) {
    Json members = Json::array();
    for (const Member& member : result.members) {
      members.push_back(ToJson(member));
    }
    return Line(Json{{"header", ToJson(result.header)}, {"members", members}});
  }
  std::vector<std::vector<std::string>> rows;
  std::string text;
  for (const Member& member : result.members) {
    rows.push_back(MemberCells(member));
    absl::StrAppend(&text, absl::StrJoin(rows.back(), ", "), "\n");
  }
  return format == OutputFormat::kSimple
             ? text
             : FormatTable({"ID", "NAME", "ROLE", "PEER ADDRESS", "CLIENT ADDRESS", "VERSION",
                            "IS LEADER", "PRIORITY"},
                           rows);
}

std::string FormatMember(OutputFormat format, const ChangeMemberResult& result) {
  if (format == OutputFormat::kJson) {
    return Line(Json{{"header", ToJson(result.header)}, {"member", ToJson(result.member)}});
  }
  return FormatMembers(format, {.header = result.header, .members = {result.member}});
}

std::string FormatRemoved(OutputFormat format, const ResponseHeader& header,
                          absl::string_view target) {
  switch (format) {
    case OutputFormat::kSimple:
      return absl::StrCat("member ", target, " removed\n");
    case OutputFormat::kJson:
      return Line(Json{{"header", ToJson(header)}, {"removed", std::string(target)}});
    case OutputFormat::kTable:
      return FormatTable({"REMOVED"}, {{std::string(target)}});
  }
  return "";
}

std::string FormatStatuses(OutputFormat format, const std::vector<EndpointStatus>& statuses) {
  if (format == OutputFormat::kJson) {
    return JsonArrayLine(statuses);
  }
  std::vector<std::vector<std::string>> rows;
  std::string text;
  for (const EndpointStatus& endpoint : statuses) {
    rows.push_back(StatusCells(endpoint));
    if (endpoint.status.ok()) {
      absl::StrAppend(&text, absl::StrJoin(rows.back(), ", "), "\n");
    }
  }
  if (format == OutputFormat::kSimple) {
    return text;
  }
  return FormatTable({"ENDPOINT", "ID", "NAME", "VERSION", "ROLE", "TERM", "INDEX", "COMMIT",
                      "APPLIED", "REVISION", "KEYS", "DB SIZE", "MEMORY", "WARNINGS"},
                     rows);
}

std::string FormatHealth(OutputFormat format, const std::vector<EndpointHealth>& endpoints) {
  if (format == OutputFormat::kJson) {
    return JsonArrayLine(endpoints);
  }
  std::vector<std::vector<std::string>> rows;
  std::string text;
  for (const EndpointHealth& endpoint : endpoints) {
    text += HealthLine(endpoint);
    rows.push_back({endpoint.endpoint, endpoint.took.ok() ? "true" : "false",
                    endpoint.took.ok() ? FormatTook(*endpoint.took) : "",
                    std::string(endpoint.took.status().message())});
  }
  if (format == OutputFormat::kSimple) {
    return text;
  }
  return FormatTable({"ENDPOINT", "HEALTH", "TOOK", "ERROR"}, rows);
}

std::string FormatHashes(OutputFormat format, const std::vector<EndpointHash>& hashes) {
  if (format == OutputFormat::kJson) {
    return JsonArrayLine(hashes);
  }
  std::vector<std::vector<std::string>> rows;
  std::string text;
  for (const EndpointHash& endpoint : hashes) {
    rows.push_back(HashCells(endpoint));
    if (endpoint.hash.ok()) {
      const std::vector<std::string>& cells = rows.back();
      absl::StrAppend(&text, absl::StrJoin(cells.begin(), std::prev(cells.end()), ", "), "\n");
    }
  }
  if (format == OutputFormat::kSimple) {
    return text;
  }
  return FormatTable({"ENDPOINT", "ID", "INDEX", "REVISION", "KEYS", "HASH", "SCANNED", "ERROR"},
                     rows);
}

std::string FormatSaved(OutputFormat format, const std::string& file, const BackupResult& result) {
  if (format == OutputFormat::kJson) {
    return Line(Json{{"header", ToJson(result.header)},
                     {"file", file},
                     {"revision", result.header.revision},
                     {"keys", result.key_count},
                     {"bytes", result.bytes},
                     {"raft_index", result.index},
                     {"hash", HashText(result.state_hash)}});
  }
  return absl::StrCat("Saved ", result.key_count, " keys at revision ", result.header.revision,
                      " in ", EscapeControls(file, Newlines::kEscape), ", ",
                      FormatBytes(result.bytes), "\n");
}

std::string FormatImported(OutputFormat format, int64_t written) {
  return format == OutputFormat::kJson ? Line(Json{{"written", written}})
                                       : absl::StrCat(written, "\n");
}

std::string FormatVersion(OutputFormat format) {
  switch (format) {
    case OutputFormat::kSimple:
      return absl::StrCat("raftkvctl version: ", kVersion, "\n");
    case OutputFormat::kJson:
      return Line(Json{{"version", kVersion}});
    case OutputFormat::kTable:
      return FormatTable({"RAFTKVCTL VERSION"}, {{kVersion}});
  }
  return "";
}

std::string FormatErrorJson(const absl::Status& status) {
  return Line(Json{{"error", ErrorToJson(status)}});
}

}  // namespace raftkv::ctl
