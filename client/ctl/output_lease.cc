// What output says of leases and of locks.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/ctl/escape.h"
#include "client/ctl/output.h"
#include "client/ctl/output_json.h"
#include "client/ctl/table.h"

namespace raftkv::ctl {
namespace {

Json ToJson(const Lease& lease) {
  return Json{{"id", lease.id},
              {"ttl", absl::FormatDuration(lease.ttl)},
              {"ttl_remaining", absl::FormatDuration(lease.ttl_remaining)}};
}

std::string LeaseTable(const std::vector<Lease>& leases) {
  std::vector<std::vector<std::string>> rows;
  for (const Lease& lease : leases) {
    rows.push_back({absl::StrCat(lease.id), absl::FormatDuration(lease.ttl),
                    absl::FormatDuration(lease.ttl_remaining)});
  }
  return FormatTable({"ID", "TTL", "REMAINING"}, rows);
}

std::string Words(const Lease& lease) {
  return absl::StrCat("lease ", lease.id, " ttl ", absl::FormatDuration(lease.ttl), " remaining ",
                      absl::FormatDuration(lease.ttl_remaining));
}

}  // namespace

std::string FormatLease(OutputFormat format, const ResponseHeader& header, const Lease& lease,
                        absl::string_view what) {
  switch (format) {
    case OutputFormat::kJson:
      return Line(Json{{"header", ToJson(header)}, {"lease", ToJson(lease)}});
    case OutputFormat::kTable:
      return LeaseTable({lease});
    case OutputFormat::kSimple:
      break;
  }
  return absl::StrCat("lease ", lease.id, " ", what, " for ",
                      absl::FormatDuration(lease.ttl_remaining), "\n");
}

std::string FormatRevoked(OutputFormat format, int64_t id, const RevokeLeaseResult& result) {
  if (format == OutputFormat::kSimple) {
    return absl::StrCat("lease ", id, " revoked, with ", result.deleted, " keys\n");
  }
  return Line(Json{{"header", ToJson(result.header)}, {"deleted", result.deleted}});
}

std::string FormatLeaseWithKeys(OutputFormat format, const GetLeaseResult& result, bool with_keys,
                                const KeyView& view) {
  if (format == OutputFormat::kJson) {
    Json json{{"header", ToJson(result.header)}, {"lease", ToJson(result.lease)}};
    if (with_keys) {
      json["keys"] = result.keys;
    }
    return Line(json);
  }
  std::string text = format == OutputFormat::kTable ? LeaseTable({result.lease})
                                                    : absl::StrCat(Words(result.lease), "\n");
  for (const std::string& key : result.keys) {
    absl::StrAppend(&text, view.for_terminal ? EscapeControls(key, Newlines::kKeep) : key, "\n");
  }
  return text;
}

std::string FormatLeases(OutputFormat format, const ListLeasesResult& result) {
  if (format == OutputFormat::kJson) {
    Json leases = Json::array();
    for (const Lease& lease : result.leases) {
      leases.push_back(ToJson(lease));
    }
    return Line(Json{{"header", ToJson(result.header)}, {"leases", leases}});
  }
  if (format == OutputFormat::kTable) {
    return LeaseTable(result.leases);
  }
  std::string text;
  for (const Lease& lease : result.leases) {
    absl::StrAppend(&text, Words(lease), "\n");
  }
  return text;
}

std::string FormatHeld(OutputFormat format, const std::string& key, int64_t fencing_token) {
  return format == OutputFormat::kSimple
             ? absl::StrCat(key, "\n")
             : Line(Json{{"key", key}, {"fencing_token", fencing_token}});
}

}  // namespace raftkv::ctl
