#include "client/ctl/output_json.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/utf8.h"

namespace raftkv::ctl {
namespace {

void SetText(Json& json, const std::string& name, const std::string& bytes) {
  if (IsUtf8(bytes)) {
    json[name] = bytes;
  } else {
    json[name + "_base64"] = absl::Base64Escape(bytes);
  }
}

}  // namespace

std::string Line(const Json& json) {
  return json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) +
         "\n";
}

Json ToJson(const ResponseHeader& header) {
  Json json{{"cluster_id", absl::StrCat(header.cluster_id)},
            {"member_id", header.member_id},
            {"leader_id", header.leader_id},
            {"raft_term", header.raft_term},
            {"revision", header.revision}};
  if (header.staleness.has_value()) {
    json["staleness"] = absl::FormatDuration(*header.staleness);
  }
  return json;
}

Json ToJson(const KeyValue& kv, const KeyView& view) {
  Json json = Json::object();
  SetText(json, "key", kv.key);
  if (!view.keys_only) {
    SetText(json, "value", kv.value);
  }
  json["create_revision"] = kv.create_revision;
  json["mod_revision"] = kv.mod_revision;
  json["version"] = kv.version;
  if (kv.lease_id != 0) {
    json["lease_id"] = kv.lease_id;
  }
  if (kv.ttl_remaining.has_value()) {
    json["ttl_remaining"] = absl::FormatDuration(*kv.ttl_remaining);
  }
  return json;
}

Json ToJson(const WatchStatus& watches) {
  Json json{{"count", watches.count}, {"slowest", Json::array()}};
  for (const WatcherStatus& watcher : watches.slowest) {
    json["slowest"].push_back({{"client", watcher.client},
                               {"first_key", watcher.first_key},
                               {"is_prefix", watcher.is_prefix},
                               {"ranges", watcher.ranges},
                               {"progress_revision", watcher.progress_revision},
                               {"behind", watcher.behind},
                               {"age", absl::FormatDuration(watcher.age)}});
  }
  return json;
}

}  // namespace raftkv::ctl
