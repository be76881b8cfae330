#include "server/metrics/metrics.h"

#include <prometheus/text_serializer.h>
#include <time.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "raft/core/progress.h"
#include "server/loop/mailbox.h"
#include "server/metrics/families.h"

namespace raftkv::server {
namespace {

// Of the calling thread.
MonotonicNanos ThreadCpu() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return used.tv_sec * kNanosPerSecond + used.tv_nsec;
}

std::vector<MethodFigures> CopyMethods(const std::vector<ClientService*>& services) {
  std::vector<MethodFigures> figures;
  for (const ClientService* service : services) {
    for (const ClientService::Method& method : service->methods()) {
      // "/package.Service/Method".
      const std::vector<std::string> path = absl::StrSplit(method.path, '/');
      figures.push_back({.service = path[1], .method = path[2], .counts = *method.counts});
    }
  }
  return figures;
}

std::vector<FollowerFigures> CopyFollowers(const raft::RaftCore& core,
                                           const kv::MemberDirectory& directory) {
  std::vector<FollowerFigures> figures;
  if (core.role() != raft::RaftRole::kLeader) {
    return figures;
  }
  for (const kv::MemberEntry& member : directory.Others()) {
    const raft::FollowerProgress* progress = core.progress(raft::NodeId(member.id));
    if (progress != nullptr) {
      figures.push_back({.name = member.name,
                         .match_index = progress->match_index(),
                         .is_heard = progress->is_heard()});
    }
  }
  return figures;
}

}  // namespace

absl::StatusOr<std::string> Metrics::Scrape(MonotonicNanos timeout) {
  const auto mailbox = std::make_shared<Mailbox<LoopFigures>>();
  const MonotonicNanos asked_at = clock_.Now();
  loop_.Post([this, waiting = std::weak_ptr(mailbox), asked_at] {
    // Whoever waited may be gone before the loop turns.
    if (const auto mailbox_of_waiting = waiting.lock(); mailbox_of_waiting != nullptr) {
      mailbox_of_waiting->Put(Collect(asked_at));
    }
  });
  std::optional<LoopFigures> figures;
  for (MonotonicNanos left = timeout; !figures.has_value() && left > 0;
       left = asked_at + timeout - clock_.Now()) {
    figures = mailbox->Take(left);
  }
  if (!figures.has_value()) {
    return absl::UnavailableError("the member is too busy to tell what it counted");
  }
  FamilyList list;
  AddMember(*figures, &list);
  AddRaft(*figures, &list);
  AddStorage(sources_.storage->LogDisk(), figures->look_at_database(), &list);
  AddProcess(&list);
  return prometheus::TextSerializer().Serialize(list.families());
}

LoopFigures Metrics::Collect(MonotonicNanos asked_at) const {
  kv::Member& member = *sources_.member;
  const kv::MemberDirectory& directory = *sources_.directory;
  LoopFigures figures;
  figures.waited = clock_.Now() - asked_at;
  figures.loop_cpu = ThreadCpu();
  figures.name = directory.self().name;
  figures.member_id = directory.self().id;
  figures.cluster_id = directory.cluster_id();
  figures.warnings = sources_.warnings().size();
  figures.certificates_end = absl::ToDoubleSeconds(sources_.certificates_end() - absl::UnixEpoch());
  figures.raft = member.driver().Status();
  figures.first_index =
      sources_.storage->log_store()->FirstOfNewest(std::numeric_limits<uint64_t>::max());
  figures.raft_counts = sources_.raft->counts();
  figures.followers = CopyFollowers(member.driver().core(), directory);
  figures.peers = sources_.peers->Figures();
  figures.keys = member.store().key_count();
  figures.expired_keys = member.store().expired_keys();
  figures.leases = member.store().lease_count();
  figures.expired_leases = member.store().expired_leases();
  figures.revision = member.store().revision();
  figures.compacted_revision = member.store().history().compacted;
  figures.history_bytes = member.store().history().bytes();
  figures.watches = member.watches().watches();
  figures.slowest_watch_lag = member.watches().slowest_lag();
  figures.cluster_version = member.store().cluster_version();
  figures.methods = CopyMethods(sources_.services);
  figures.calls_in_flight = sources_.calls->in_flight;
  figures.backups = sources_.backups();
  figures.streams = sources_.streams();
  sources_.fill_memory(&figures.memory);
  figures.memory.set_log_bytes(static_cast<int64_t>(figures.raft.log_memory_bytes));
  figures.disk = sources_.disk();
  figures.look_at_database = sources_.storage->PrepareFigures();
  return figures;
}

}  // namespace raftkv::server
