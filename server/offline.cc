#include "server/offline.h"

#include <algorithm>
#include <optional>
#include <ostream>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "kv/state_hash.h"
#include "server/options.h"
#include "storage/backup.h"
#include "storage/key_layout.h"
#include "storage/recovery.h"

namespace raftkv::server {
namespace {

// Lines for raftkvctl.
class Lines {
 public:
  explicit Lines(std::ostream& out) : out_(out) {}

  void Text(absl::string_view name, absl::string_view value) {
    out_ << "s\t" << name << "\t" << absl::Utf8SafeCEscape(value) << "\n";
  }
  template <typename Number>
  void Count(absl::string_view name, Number value) {
    out_ << "n\t" << name << "\t" << value << "\n";
  }
  // A number that is one of many, beyond what JSON readers take for exact: a text, as raftkvctl
  // shows it elsewhere.
  void Id(absl::string_view name, uint64_t id) { Text(name, absl::StrCat(id)); }
  void Hash(absl::string_view name, uint64_t hash) {
    Text(name, absl::StrCat(absl::Hex(hash, absl::kZeroPad16)));
  }
  // What could not be read.
  void Failure(absl::string_view name, const absl::Status& status) {
    Text(absl::StrCat(name, "_error"), status.message());
  }

 private:
  std::ostream& out_;
};

int Fail(std::ostream& err, const absl::Status& status) {
  err << "Error: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? kOfflineBadArguments : kOfflineFailed;
}

// InvalidArgument is for arguments: a file that is no backup is a failure.
int FailWithFile(std::ostream& err, const absl::Status& status) {
  err << "Error: " << status.message() << "\n";
  return kOfflineFailed;
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

storage::StorageOptions OptionsFor(const std::string& data_dir) {
  storage::StorageOptions options;
  options.data_dir = data_dir;
  return options;
}

void PrintBackup(const storage::BackupContent& backup, Lines* lines) {
  const v1::BackupManifest& manifest = backup.manifest;
  lines->Count("revision", manifest.revision());
  lines->Count("keys", manifest.key_count());
  lines->Count("keys_with_ttl", backup.deadlines);
  lines->Count("bytes", backup.bytes);
  lines->Count("format_version", 1);
  lines->Id("cluster_id", manifest.cluster_id());
  lines->Text("member", manifest.member_name());
  lines->Text("raftkv_version", manifest.version());
  lines->Text("created_at", TimeText(manifest.created_at()));
  lines->Count("raft_index", manifest.index());
  lines->Count("raft_term", manifest.term());
  lines->Hash("hash", manifest.state_hash());
  lines->Text("checksums", "ok");
}

int Status(const std::string& file, bool only_hash, Lines* lines, std::ostream& err) {
  const absl::StatusOr<storage::BackupContent> backup = storage::VerifyBackup(file);
  if (!backup.ok()) {
    return FailWithFile(err, backup.status());
  }
  if (only_hash) {
    lines->Hash("hash", backup->manifest.state_hash());
  } else {
    PrintBackup(*backup, lines);
  }
  return kOfflineOk;
}

// The list as the members compare it, sorted by name.
absl::StatusOr<std::string> CheckedCluster(const std::string& name, const std::string& list) {
  if (!IsMemberName(name)) {
    return absl::InvalidArgumentError(absl::StrCat("--name=", absl::Utf8SafeCEscape(name),
                                                   ": must be 1 to 64 of A-Z a-z 0-9 . _ -"));
  }
  if (list.empty()) {
    return std::string();
  }
  RAFTKV_ASSIGN_OR_RETURN(const std::vector<Founder> founders, ParseInitialCluster(list));
  if (std::none_of(founders.begin(), founders.end(),
                   [&](const Founder& founder) { return founder.name == name; })) {
    return absl::InvalidArgumentError(
        absl::StrCat("--initial_cluster=", list, ": must contain this member, --name=", name));
  }
  return absl::StrJoin(founders, ",", [](std::string* out, const Founder& founder) {
    absl::StrAppend(out, founder.name, "=", founder.peer_address);
  });
}

int Restore(const std::vector<std::string>& arguments, Lines* lines, std::ostream& err) {
  const std::string& name = arguments[3];
  const absl::StatusOr<std::string> cluster =
      CheckedCluster(name, arguments.size() > 4 ? arguments[4] : "");
  if (!cluster.ok()) {
    return Fail(err, cluster.status());
  }
  storage::RestoreOptions options{
      .storage = OptionsFor(arguments[2]), .name = name, .initial_cluster = *cluster};
  const absl::StatusOr<storage::BackupContent> backup =
      storage::RestoreBackup(arguments[1], options);
  if (!backup.ok()) {
    return FailWithFile(err, backup.status());
  }
  lines->Text("data_dir", options.storage.data_dir);
  lines->Text("member", name);
  lines->Count("keys", backup->manifest.key_count());
  lines->Count("keys_with_ttl", backup->deadlines);
  lines->Count("backup_revision", backup->manifest.revision());
  lines->Count("revision", backup->manifest.revision() + storage::kRevisionJump);
  err << "Restored. Start it with: raftkvd --name=" << name
      << " --data_dir=" << options.storage.data_dir;
  if (!cluster->empty()) {
    err << "\nAll members of " << *cluster << " must be restored from this file";
  }
  err << "\n";
  return kOfflineOk;
}

std::string ListOf(const log::v1::ClusterConfiguration& configuration) {
  const auto is_among = [](const auto& ids, uint64_t id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  return absl::StrJoin(configuration.members(), ",",
                       [&](std::string* out, const log::v1::ConfiguredMember& member) {
                         const bool votes = is_among(configuration.voters(), member.id()) ||
                                            is_among(configuration.outgoing_voters(), member.id());
                         absl::StrAppend(out, member.id(), ":", member.name(), "=",
                                         member.peer_address(), votes ? "" : " (learner)");
                       });
}

void PrintContent(const storage::GenerationContent& content, Lines* lines) {
  lines->Count("applied_index", content.applied.id.index.value());
  lines->Count("applied_term", content.applied.id.term.value());
  lines->Count("revision", content.applied.revision);
  lines->Count("keys", content.applied.key_count);
  lines->Hash("hash", kv::StateHash(content.applied));
  lines->Count("cluster_version", content.applied.cluster_version);
  if (content.configuration.has_value()) {
    lines->Text("members", ListOf(*content.configuration));
  }
}

void PrintDatabase(const storage::DirectoryReport& report, Lines* lines) {
  const auto print = [&](absl::string_view name, const auto& value, auto show) {
    if (value.ok()) {
      show(*value);
    } else {
      lines->Failure(name, value.status());
    }
  };
  print("identity", report.identity, [&](const storage::MemberIdentity& identity) {
    lines->Text("member", identity.name);
    lines->Count("member_id", identity.member_id);
    lines->Id("cluster_id", identity.cluster_id);
    lines->Id("data_id", identity.data_id);
  });
  print("hard_state", report.hard_state, [&](const raft::HardState& state) {
    lines->Count("term", state.term.value());
    lines->Count("vote", state.vote.value());
  });
  print("log_start", report.log_start, [&](const storage::LogEdge& start) {
    lines->Count("log_first_index", start.id.index.value() + 1);
  });
  print("log_end", report.log_end, [&](const storage::LogEdge& end) {
    lines->Count("log_last_index", end.id.index.value());
    lines->Count("log_last_term", end.id.term.value());
  });
  print("content", report.content,
        [&](const storage::GenerationContent& content) { PrintContent(content, lines); });
  if (report.content.ok() && report.log_end.ok()) {
    lines->Count("uncertain_entries", report.uncertain_entries());
  }
  print("deadlines", report.deadlines,
        [&](uint64_t deadlines) { lines->Count("keys_with_ttl", deadlines); });
  print("cluster_clock", report.clock, [&](const raft::ClusterReading& clock) {
    lines->Count("saved_cluster_time_ms", clock.time.value());
  });
}

int Inspect(const std::string& data_dir, Lines* lines, std::ostream& err) {
  const absl::StatusOr<storage::DirectoryReport> report =
      storage::InspectDirectory(OptionsFor(data_dir));
  if (!report.ok()) {
    return FailWithFile(err, report.status());
  }
  lines->Text("data_dir", data_dir);
  lines->Text("used_by", report->used_by);
  if (report->format.ok()) {
    lines->Text("format", absl::StripSuffix(*report->format, "\n"));
  } else {
    lines->Failure("format", report->format.status());
  }
  if (!report->differs.empty()) {
    lines->Text("differs", absl::StripSuffix(report->differs, "\n"));
  }
  if (report->fence.ok()) {
    lines->Count("fence_durable_index", report->fence->durable.index.value());
    lines->Count("fence_term", report->fence->hard_state.term.value());
  } else {
    lines->Failure("fence", report->fence.status());
  }
  if (report->restored.ok() && report->restored->has_value()) {
    lines->Id("restored_from", (*report->restored)->backup_id);
    lines->Text("restored_initial_cluster", (*report->restored)->initial_cluster);
  }
  PrintDatabase(*report, lines);
  const bool whole = report->fence.ok() && report->identity.ok() && report->hard_state.ok() &&
                     report->log_end.ok() && report->content.ok() && report->deadlines.ok();
  return whole ? kOfflineOk : kOfflineFailed;
}

// Whether the member of that directory can go on alone.
absl::Status CheckRecoverable(const std::string& data_dir, const storage::DirectoryReport& report) {
  if (!report.used_by.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("the data directory ", data_dir,
                                                      " is in use by another process (",
                                                      report.used_by, "): stop it first"));
  }
  if (!report.differs.empty()) {
    return absl::DataLossError(absl::StrCat(data_dir, " holds a state that was found wrong: ",
                                            absl::StripSuffix(report.differs, "\n")));
  }
  for (const absl::Status& status :
       {report.fence.status(), report.identity.status(), report.hard_state.status(),
        report.log_end.status(), report.content.status(), report.deadlines.status()}) {
    RAFTKV_RETURN_IF_ERROR(status);
  }
  if (report.identity->name.empty() || !report.content->configuration.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat(data_dir, " belongs to no cluster yet: start it as it is"));
  }
  return absl::OkStatus();
}

int Recover(const std::string& data_dir, bool force, Lines* lines, std::ostream& err) {
  const absl::StatusOr<storage::DirectoryReport> report =
      storage::InspectDirectory(OptionsFor(data_dir));
  if (!report.ok()) {
    return FailWithFile(err, report.status());
  }
  if (const absl::Status status = CheckRecoverable(data_dir, *report); !status.ok()) {
    return FailWithFile(err, status);
  }
  if (force) {
    if (const absl::Status done = storage::RecoverAlone(OptionsFor(data_dir)); !done.ok()) {
      return FailWithFile(err, done);
    }
    const absl::StatusOr<storage::DirectoryReport> after =
        storage::InspectDirectory(OptionsFor(data_dir));
    if (!after.ok()) {
      return FailWithFile(err, after.status());
    }
    PrintDatabase(*after, lines);
    err << "Recovered: member " << after->identity->name << " is the only member of cluster "
        << after->identity->cluster_id
        << ". Entries kept whose fate is uncertain: " << report->uncertain_entries()
        << ". Empty the directories of the other members before they start again.\n";
    return kOfflineOk;
  }
  PrintDatabase(*report, lines);
  err << "Nothing was changed. Forced, member " << report->identity->name
      << " becomes the only member of a new cluster and keeps "
      << report->content->applied.key_count << " keys at revision "
      << report->content->applied.revision << ", and the effects of " << report->uncertain_entries()
      << " log entries of which it is not certain that they were committed. What only other members"
         " had is lost.\n";
  return kOfflineOk;
}

}  // namespace

int RunOffline(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  Lines lines(out);
  const size_t count = arguments.size();
  const std::string command = count == 0 ? "" : arguments[0];
  if (command == "status" && (count == 2 || (count == 3 && arguments[2] == "hash"))) {
    return Status(arguments[1], count == 3, &lines, err);
  }
  if (command == "restore" && (count == 4 || count == 5)) {
    return Restore(arguments, &lines, err);
  }
  if (command == "recover" && (count == 2 || (count == 3 && arguments[2] == "force"))) {
    return Recover(arguments[1], count == 3, &lines, err);
  }
  if (command == "inspect" && count == 2) {
    return Inspect(arguments[1], &lines, err);
  }
  err << "Error: `raftkvd offline` is for raftkvctl: see raftkvctl snapshot, recover and inspect\n";
  return kOfflineBadArguments;
}

}  // namespace raftkv::server
