#include "client/ctl/commands.h"

#include <algorithm>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "client/ctl/diff.h"
#include "client/ctl/escape.h"
#include "client/ctl/import.h"
#include "client/ctl/lease.h"
#include "client/ctl/lock.h"
#include "client/ctl/offline.h"
#include "client/ctl/output.h"
#include "client/ctl/save_snapshot.h"
#include "client/ctl/top.h"
#include "client/ctl/txn_script.h"
#include "client/ctl/watch.h"

namespace raftkv::ctl {
namespace {

// Most keys that a step of `del --prefix` removes.
constexpr int64_t kDeleteStepKeysMax = 10'000;

// How many keys to remove at a time after `status` refused to remove `limit` (0: all) at once; 0
// when fewer would not help.
int64_t SmallerStep(const absl::Status& status, int64_t limit) {
  const std::optional<ErrorDetails> details = GetErrorDetails(status);
  if (!details.has_value() || details->reason != "RANGE_TOO_LARGE") {
    return 0;
  }
  int64_t allowed = 0;
  const auto found = details->metadata.find("limit");
  if (found == details->metadata.end() || !absl::SimpleAtoi(found->second, &allowed)) {
    return 0;
  }
  const int64_t step = std::min(allowed, kDeleteStepKeysMax);
  return limit == 0 || step < limit ? step : 0;
}

// One command at work.
class Run {
 public:
  Run(const GlobalOptions& global, Client& client, const Terminal& terminal)
      : global_(global), client_(client), terminal_(terminal) {}

  ExitCode operator()(const PutCommand& command) {
    std::string value = command.value;
    if (command.value_from_stdin) {
      value.assign(std::istreambuf_iterator<char>(terminal_.in), {});
    }
    const PutOptions options{
        .ttl = command.ttl, .keep_ttl = command.keep_ttl, .lease_id = command.lease_id};
    const absl::StatusOr<PutResult> result = client_.Put(command.key, value, options);
    if (!result.ok()) {
      return Fail(result.status());
    }
    terminal_.out << FormatPut(global_.format, *result);
    return ExitCode::kOk;
  }

  template <IsLeaseCommand LeaseCommand>
  ExitCode operator()(const LeaseCommand& command) {
    const absl::Status status = RunLease(command, global_.format, client_, terminal_);
    return status.ok() ? ExitCode::kOk : Fail(status);
  }

  ExitCode operator()(const LockCommand& command) {
    return RunLock(command, global_, client_, terminal_);
  }

  ExitCode operator()(const GetCommand& command) {
    const KeyView view{.keys_only = command.keys_only,
                       .print_value_only = command.print_value_only,
                       .for_terminal = terminal_.out_is_terminal};
    const absl::StatusOr<int64_t> found =
        command.prefix ? PrintPrefix(command, view) : PrintOneKey(command, view);
    if (!found.ok()) {
      return Fail(found.status());
    }
    if (*found == 0 && command.fail_missing) {
      terminal_.err << "Error: no key " << (command.prefix ? "starts with" : "is called") << " \""
                    << EscapeControls(command.key, Newlines::kEscape) << "\"\n";
      return ExitCode::kError;
    }
    return ExitCode::kOk;
  }

  ExitCode operator()(const DeleteCommand& command) {
    if (command.prefix) {
      return DeletePrefix(command.key);
    }
    const absl::StatusOr<DeleteResult> result = client_.Delete(command.key);
    if (!result.ok()) {
      return Fail(result.status());
    }
    terminal_.out << FormatDeleted(global_.format, result->header, result->deleted ? 1 : 0);
    return ExitCode::kOk;
  }

  ExitCode operator()(const TouchCommand& command) {
    const absl::StatusOr<TouchResult> result = client_.Touch(command.key, {.ttl = command.ttl});
    if (!result.ok()) {
      return Fail(result.status());
    }
    terminal_.out << FormatTouched(global_.format, *result);
    return ExitCode::kOk;
  }

  ExitCode operator()(const IncrementCommand& command) {
    const absl::StatusOr<IncrementResult> result = client_.Increment(
        command.key, {.delta = command.delta, .initial = command.initial, .ttl = command.ttl});
    if (!result.ok()) {
      return Fail(result.status());
    }
    terminal_.out << FormatSum(global_.format, *result);
    return ExitCode::kOk;
  }

  ExitCode operator()(const TxnCommand&) {
    const std::string script(std::istreambuf_iterator<char>(terminal_.in), {});
    const absl::StatusOr<Txn> txn = ParseTxnScript(script);
    if (!txn.ok()) {
      terminal_.err << "Error: " << txn.status().message() << "\n";
      return ExitCode::kBadArguments;
    }
    const absl::StatusOr<TxnResult> result = client_.Run(*txn);
    if (!result.ok()) {
      return Fail(result.status());
    }
    terminal_.out << FormatTxn(global_.format, *result,
                               KeyView{.for_terminal = terminal_.out_is_terminal});
    return ExitCode::kOk;
  }

  ExitCode operator()(const WatchCommand& command) {
    const absl::Status status = RunWatch(command, global_.format, client_, terminal_);
    return status.ok() ? ExitCode::kOk : Fail(status);
  }

  ExitCode operator()(const HistoryCommand& command) {
    const absl::Status status = RunHistory(command, global_.format, client_, terminal_);
    return status.ok() ? ExitCode::kOk : Fail(status);
  }

  ExitCode operator()(const DiffCommand& command) {
    const absl::Status status = RunDiff(command, global_.format, client_, terminal_);
    return status.ok() ? ExitCode::kOk : Fail(status);
  }

  ExitCode operator()(const CompactCommand& command) {
    const absl::StatusOr<CompactResult> result = client_.Compact(command.revision);
    if (!result.ok()) {
      return Fail(result.status());
    }
    terminal_.out << FormatCompacted(global_.format, *result);
    return ExitCode::kOk;
  }

  ExitCode operator()(const MemberListCommand&) {
    const absl::StatusOr<ListMembersResult> result = client_.ListMembers();
    if (!result.ok()) {
      return Fail(result.status());
    }
    terminal_.out << FormatMembers(global_.format, *result);
    return ExitCode::kOk;
  }

  ExitCode operator()(const MemberAddCommand& command) {
    return PrintMember(client_.AddMember(command.name, command.peer_address,
                                         {.stay_learner = command.stay_learner}));
  }

  ExitCode operator()(const MemberRemoveCommand& command) {
    const absl::StatusOr<RemoveMemberResult> result = client_.RemoveMember(Target(command.target));
    if (!result.ok()) {
      return Fail(result.status());
    }
    terminal_.out << FormatRemoved(global_.format, result->header, command.target);
    return ExitCode::kOk;
  }

  ExitCode operator()(const MemberPromoteCommand& command) {
    return PrintMember(client_.PromoteMember(Target(command.target)));
  }

  ExitCode operator()(const MemberUpdateCommand& command) {
    return PrintMember(client_.UpdateMember(Target(command.target), command.peer_address));
  }

  // Both steps may be repeated, so the command may.
  ExitCode operator()(const MemberReplaceCommand& command) {
    const absl::StatusOr<ListMembersResult> list = client_.ListMembers();
    if (!list.ok()) {
      return Fail(list.status());
    }
    std::string peer_address = command.peer_address;
    for (const Member& member : list->members) {
      if (member.name != command.name) {
        continue;
      }
      if (peer_address.empty()) {
        peer_address = member.peer_address;
      }
      const absl::StatusOr<RemoveMemberResult> removed = client_.RemoveMember({.id = member.id});
      if (!removed.ok()) {
        return Fail(removed.status());
      }
      terminal_.err << "member " << member.id << " \"" << member.name << "\" is removed\n";
    }
    if (peer_address.empty()) {
      terminal_.err << "Error: no member is called \"" << command.name
                    << "\" any more: say by --peer-address where the new one is\n";
      return ExitCode::kError;
    }
    const ExitCode code = PrintMember(client_.AddMember(command.name, peer_address));
    if (code != ExitCode::kOk) {
      terminal_.err << "Once it runs with an empty directory: raftkvctl member add " << command.name
                    << " " << peer_address << "\n";
    }
    return code;
  }

  ExitCode operator()(const MoveLeaderCommand& command) {
    const absl::StatusOr<TransferLeadershipResult> result =
        client_.TransferLeadership(command.name);
    if (!result.ok()) {
      return Fail(result.status());
    }
    terminal_.out << FormatLeader(global_.format, result->header);
    return ExitCode::kOk;
  }

  ExitCode operator()(const EndpointStatusCommand& command) {
    const absl::StatusOr<Targets> targets = FindTargets(command.cluster);
    if (!targets.ok()) {
      return Fail(targets.status());
    }
    std::vector<EndpointStatus> statuses;
    ExitCode code = targets->unpublished == 0 ? ExitCode::kOk : ExitCode::kError;
    for (const std::string& endpoint : targets->endpoints) {
      statuses.push_back(EndpointStatus{endpoint, client_.GetStatus(endpoint)});
      if (const absl::Status& status = statuses.back().status.status(); !status.ok()) {
        code = FailEndpoint(endpoint, status);
      }
    }
    terminal_.out << FormatStatuses(global_.format, statuses);
    Clusters clusters;
    for (const EndpointStatus& status : statuses) {
      if (status.status.ok()) {
        clusters[status.status->header.cluster_id].push_back(status.endpoint);
      }
    }
    return AreOne(std::move(clusters)) ? code : ExitCode::kUnhealthy;
  }

  ExitCode operator()(const EndpointHealthCommand& command) {
    const absl::StatusOr<Targets> targets = FindTargets(command.cluster);
    if (!targets.ok()) {
      return Fail(targets.status());
    }
    std::vector<EndpointHealth> healths;
    size_t unhealthy = targets->unpublished;
    for (const std::string& endpoint : targets->endpoints) {
      const absl::StatusOr<HealthResult> health = client_.CheckHealth(endpoint);
      if (health.ok()) {
        healths.push_back({endpoint, health->took, health->header.cluster_id});
      } else {
        healths.push_back({endpoint, health.status()});
        ++unhealthy;
      }
    }
    terminal_.out << FormatHealth(global_.format, healths);
    Clusters clusters;
    for (const EndpointHealth& health : healths) {
      clusters[health.cluster_id].push_back(health.endpoint);
    }
    const bool one = AreOne(std::move(clusters));
    if (unhealthy == 0) {
      return one ? ExitCode::kOk : ExitCode::kUnhealthy;
    }
    terminal_.err << "Error: " << unhealthy << " of " << healths.size() + targets->unpublished
                  << " endpoints are unhealthy; see raftkvctl endpoint status\n";
    return ExitCode::kUnhealthy;
  }

  ExitCode operator()(const EndpointHashCommand& command) {
    const absl::StatusOr<Targets> targets = FindTargets(command.cluster);
    if (!targets.ok()) {
      return Fail(targets.status());
    }
    std::vector<EndpointHash> hashes;
    Clusters clusters;
    // The newest of all, so that none has forgotten it; who is behind has the call's time.
    VerifyHashOptions at_newest;
    for (const std::string& endpoint : targets->endpoints) {
      hashes.push_back({endpoint, client_.VerifyHash(endpoint)});
      if (const auto& newest = hashes.back().hash; newest.ok()) {
        at_newest.index = std::max(at_newest.index, newest->index);
        clusters[newest->header.cluster_id].push_back(endpoint);
      }
    }
    if (!AreOne(std::move(clusters))) {
      return ExitCode::kUnhealthy;
    }
    // Who did not answer is not asked again: the others might forget that index meanwhile.
    for (EndpointHash& endpoint : hashes) {
      if (endpoint.hash.ok()) {
        endpoint.hash = client_.VerifyHash(endpoint.endpoint, at_newest);
      }
    }
    const bool equal = AreEqual(hashes);
    // A scan may take minutes, so each member scans what it has by then.
    for (EndpointHash& endpoint : hashes) {
      if (command.scan && endpoint.hash.ok()) {
        endpoint.hash = client_.VerifyHash(endpoint.endpoint, {.index = 0, .scan = true});
      }
    }
    ExitCode code = targets->unpublished == 0 ? ExitCode::kOk : ExitCode::kError;
    for (const EndpointHash& endpoint : hashes) {
      if (const absl::Status& status = endpoint.hash.status(); !status.ok()) {
        code = FailEndpoint(endpoint.endpoint, status);
      }
    }
    terminal_.out << FormatHashes(global_.format, hashes);
    return equal ? code : ExitCode::kUnhealthy;
  }

  ExitCode operator()(const SnapshotSaveCommand& command) {
    SaveFailure failure;
    const absl::StatusOr<BackupResult> saved =
        SaveSnapshot(command, global_.endpoints, client_, terminal_, &failure);
    if (!failure.of_file.ok()) {
      return FailLocally(failure.of_file);
    }
    if (!saved.ok()) {
      return Fail(saved.status());
    }
    terminal_.out << FormatSaved(global_.format, command.file, *saved);
    return ExitCode::kOk;
  }

  ExitCode operator()(const ExportCommand& command) {
    const absl::Status listed = Export(command, global_.command_timeout, client_, terminal_);
    return listed.ok() ? ExitCode::kOk : Fail(listed);
  }

  ExitCode operator()(const ImportCommand& command) {
    const ImportResult result = Import(command, client_, terminal_);
    terminal_.out << FormatImported(global_.format, result.written);
    if (!result.of_file.ok()) {
      return FailLocally(result.of_file);
    }
    return result.of_server.ok() ? ExitCode::kOk : Fail(result.of_server);
  }

  ExitCode operator()(const OfflineCommand& command) {
    return RunOffline(command.raftkvd, command.arguments, global_.format, terminal_);
  }

  ExitCode operator()(const TopCommand&) { return RunTop(global_, client_, terminal_); }

  ExitCode operator()(const VersionCommand&) {
    terminal_.out << FormatVersion(global_.format);
    return ExitCode::kOk;
  }

 private:
  // For what no server has to do with.
  ExitCode FailLocally(const absl::Status& status) {
    terminal_.err << "Error: " << EscapeControls(status.message(), Newlines::kEscape) << "\n";
    return ExitCode::kError;
  }

  ExitCode Fail(const absl::Status& status) {
    if (global_.format == OutputFormat::kJson) {
      terminal_.err << FormatErrorJson(status);
    } else {
      terminal_.err << "Error: "
                    << EscapeControls(DescribeError(status, global_.endpoints), Newlines::kEscape)
                    << "\n";
    }
    return ExitCodeFor(status);
  }

  static MemberTarget Target(const std::string& text) {
    MemberTarget target;
    if (!absl::SimpleAtoi(text, &target.id)) {
      target.name = text;
    }
    return target;
  }

  ExitCode PrintMember(const absl::StatusOr<ChangeMemberResult>& result) {
    if (!result.ok()) {
      return Fail(result.status());
    }
    terminal_.out << FormatMember(global_.format, *result);
    return ExitCode::kOk;
  }

  // Says what went wrong with one of several endpoints.
  ExitCode FailEndpoint(const std::string& endpoint, const absl::Status& status) const {
    terminal_.err << "Error: "
                  << EscapeControls(DescribeError(status, {endpoint}), Newlines::kEscape) << "\n";
    return ExitCodeFor(status);
  }

  // Says whether those that answered, all at one index, hold the same.
  bool AreEqual(const std::vector<EndpointHash>& hashes) const {
    std::map<uint64_t, std::vector<std::string>> states;
    uint64_t index = 0;
    size_t answers = 0;
    for (const EndpointHash& endpoint : hashes) {
      if (endpoint.hash.ok()) {
        states[endpoint.hash->state_hash].push_back(endpoint.endpoint);
        index = endpoint.hash->index;
        ++answers;
      }
    }
    if (states.size() > 1) {
      terminal_.err << "Error: the endpoints do not hold the same at index " << index
                    << "; alike are "
                    << absl::StrJoin(states, "; ",
                                     [](std::string* out, const auto& state) {
                                       absl::StrAppend(out, absl::StrJoin(state.second, ","));
                                     })
                    << "\n";
      return false;
    }
    if (answers > 1) {
      terminal_.err << "All " << answers << " endpoints that answered hold the same at index "
                    << index << "\n";
    }
    return true;
  }

  // At one revision when the servers do that many keys at once, else step by step.
  ExitCode DeletePrefix(const std::string& prefix) {
    DeleteRangeOptions options;
    int64_t deleted = 0;
    while (true) {
      const absl::StatusOr<DeleteRangeResult> result = client_.DeleteRange(Prefix{prefix}, options);
      if (!result.ok()) {
        if (const int64_t step = SmallerStep(result.status(), options.limit); step > 0) {
          terminal_.err << "Too many keys for one request: deleting " << step
                        << " at a time, which is not atomic\n";
          options.limit = step;
          continue;
        }
        if (options.limit != 0) {
          // A step whose outcome is unknown may have deleted more.
          terminal_.err << "Stopped after "
                        << (IsOutcomeUnknown(result.status()) ? "at least " : "") << deleted
                        << " keys were deleted; the same command goes on from there\n";
        }
        return Fail(result.status());
      }
      deleted += result->deleted;
      if (!result->more) {
        terminal_.out << FormatDeleted(global_.format, result->header, deleted);
        return ExitCode::kOk;
      }
      terminal_.err << deleted << " deleted so far\n";
    }
  }

  // Returns how many keys were found.
  absl::StatusOr<int64_t> PrintOneKey(const GetCommand& command, const KeyView& view) {
    GetOptions options;
    options.consistency = command.consistency;
    options.max_staleness = command.max_staleness;
    options.at_revision = command.revision;
    RAFTKV_ASSIGN_OR_RETURN(const GetResult result, client_.Get(command.key, options));
    std::vector<KeyValue> kvs;
    if (result.kv.has_value()) {
      kvs.push_back(*result.kv);
    }
    terminal_.out << FormatKeys(global_.format, result.header, kvs, view);
    return static_cast<int64_t>(kvs.size());
  }

  // All as of one revision. The simple format is printed as it comes, so that a listing of any
  // length needs little memory.
  absl::StatusOr<int64_t> PrintPrefix(const GetCommand& command, const KeyView& view) {
    ScanOptions options;
    options.limit = command.limit;
    options.keys_only = command.keys_only;
    options.consistency = command.consistency;
    options.max_staleness = command.max_staleness;
    options.at_revision = command.revision;
    options.silence_max = global_.command_timeout;
    int64_t found = 0;
    ResponseHeader header;
    std::vector<KeyValue> kept;
    RAFTKV_RETURN_IF_ERROR(client_.Scan(Prefix{command.key}, options, [&](const ScanChunk& chunk) {
      header = chunk.header;
      found += static_cast<int64_t>(chunk.kvs.size());
      if (global_.format != OutputFormat::kSimple) {
        kept.insert(kept.end(), chunk.kvs.begin(), chunk.kvs.end());
        return true;
      }
      for (const KeyValue& kv : chunk.kvs) {
        terminal_.out << FormatKeySimple(kv, view);
      }
      return terminal_.out.good();
    }));
    if (global_.format != OutputFormat::kSimple) {
      terminal_.out << FormatKeys(global_.format, header, kept, view);
    }
    return found;
  }

  // Endpoints by the cluster that they answer for; 0 is none that is known.
  using Clusters = std::map<uint64_t, std::vector<std::string>>;

  // Says so when the endpoints are not of one cluster.
  bool AreOne(Clusters clusters) const {
    clusters.erase(0);
    if (clusters.size() <= 1) {
      return true;
    }
    terminal_.err << "Error: the endpoints are of " << clusters.size() << " clusters: "
                  << absl::StrJoin(clusters, ", ",
                                   [](std::string* out, const Clusters::value_type& cluster) {
                                     absl::StrAppend(out, cluster.first, " (",
                                                     absl::StrJoin(cluster.second, ","), ")");
                                   })
                  << "; a member that was started with an empty directory may have founded a "
                     "cluster of its own: stop it, and see what it logged\n";
    return false;
  }

  // Whom the endpoint commands ask.
  struct Targets {
    std::vector<std::string> endpoints;
    size_t unpublished = 0;  // members that nobody can ask: their client address is not known
  };

  // The members are read stale, so that this also works without a quorum.
  absl::StatusOr<Targets> FindTargets(bool whole_cluster) {
    Targets targets;
    if (!whole_cluster) {
      targets.endpoints = global_.endpoints;
      return targets;
    }
    MemberOptions options;
    options.consistency = Consistency::kStale;
    RAFTKV_ASSIGN_OR_RETURN(const ListMembersResult result, client_.ListMembers(options));
    for (const Member& member : result.members) {
      if (!member.client_address.empty()) {
        targets.endpoints.push_back(member.client_address);
        continue;
      }
      ++targets.unpublished;
      terminal_.err << "Error: member " << member.name
                    << " has not published its client address; start it, or name it with "
                       "--endpoints\n";
    }
    return targets;
  }

  const GlobalOptions& global_;
  Client& client_;
  const Terminal& terminal_;
};

}  // namespace

ExitCode RunCommand(const Invocation& invocation, Client& client, const Terminal& terminal) {
  const ExitCode code = std::visit(Run(invocation.global, client, terminal), invocation.command);
  terminal.out.flush();
  if (!terminal.out) {
    terminal.err << "Error: cannot write to stdout\n";
    return ExitCode::kError;
  }
  return code;
}

}  // namespace raftkv::ctl
