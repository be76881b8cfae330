#include "server/peer/member_changes.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "kv/errors.h"
#include "kv/limits.h"
#include "kv/member_list.h"
#include "raft/wire/identity.h"
#include "server/limits.h"
#include "server/log_text.h"
#include "server/options.h"

namespace raftkv::server {
namespace {

absl::Status CheckPeerAddress(absl::string_view address) {
  const absl::StatusOr<HostPort> parsed = HostPort::Parse(address);
  if (!parsed.ok()) {
    return kv::BadAddressError("peer_address", address, parsed.status().message());
  }
  if (parsed->IsWildcard() || parsed->port == 0) {
    return kv::BadAddressError("peer_address", address,
                               "others must be able to dial it: give a host and a port");
  }
  return absl::OkStatus();
}

absl::Status CheckChange(const peer::v1::ChangeMembersRequest& change) {
  using Change = peer::v1::ChangeMembersRequest;
  switch (change.change_case()) {
    case Change::kAdd:
      return IsMemberName(change.add().name()) ? CheckPeerAddress(change.add().peer_address())
                                               : kv::BadNameError("name", change.add().name());
    case Change::kUpdate:
      return CheckPeerAddress(change.update().peer_address());
    case Change::kRemoveId:
    case Change::kPromoteId:
      return absl::OkStatus();
    case Change::CHANGE_NOT_SET:
      break;
  }
  return kv::UnknownFieldError("change");
}

}  // namespace

void MemberChanges::Request(const peer::v1::ChangeMembersRequest& change, bool may_forward,
                            MonotonicNanos deadline, kv::Membership::Done done) {
  if (const absl::Status good = CheckChange(change); !good.ok()) {
    done(good);
    return;
  }
  const raft::RaftCore& core = context_->driver->core();
  if (!context_->directory->founded() || hooks_.membership == nullptr) {
    done(kv::NoLeaderError());
    return;
  }
  if (core.role() != raft::RaftRole::kLeader) {
    if (may_forward && core.leader() != raft::kNobody) {
      hooks_.forward(core.leader(), change, deadline, std::move(done));
    } else {
      done(kv::NoLeaderError());
    }
    return;
  }
  using Change = peer::v1::ChangeMembersRequest;
  switch (change.change_case()) {
    case Change::kAdd:
      AskNewcomer(change.add(), deadline, std::move(done));
      return;
    case Change::kRemoveId:
      hooks_.membership->Request(kv::Membership::Removing{change.remove_id()}, deadline,
                                 std::move(done));
      return;
    case Change::kPromoteId:
      hooks_.membership->Request(kv::Membership::Promoting{change.promote_id()}, deadline,
                                 std::move(done));
      return;
    case Change::kUpdate:
      hooks_.membership->Request(
          kv::Membership::Updating{change.update().id(), change.update().peer_address()}, deadline,
          std::move(done));
      return;
    case Change::CHANGE_NOT_SET:
      return;
  }
}

void MemberChanges::AskNewcomer(const peer::v1::AddedMember& wanted, MonotonicNanos deadline,
                                kv::Membership::Done done) {
  if (newcomers_.size() >= kv::kMembershipChangesMax) {
    done(kv::OverloadedError());
    return;
  }
  const MonotonicNanos patience = context_->clock->Now() + kNewcomerAnswerSeconds * kNanosPerSecond;
  newcomers_.push_back({.wanted = wanted,
                        .deadline = deadline,
                        .patience = std::min(deadline, patience),
                        .done = std::move(done),
                        .asker = nullptr});
  Newcomer& newcomer = newcomers_.back();
  newcomer.asker = hooks_.new_asker(
      wanted.name(), wanted.peer_address(),
      [this, &newcomer](const grpc::Status& status, const peer::v1::HelloResponse& response) {
        OnAnswer(&newcomer, status, response);
      });
}

void MemberChanges::OnAnswer(Newcomer* newcomer, const grpc::Status& status,
                             const peer::v1::HelloResponse& response) {
  if (newcomer->over) {
    return;
  }
  if (!status.ok()) {
    newcomer->problem = PeerFailureText(status);
    return;
  }
  if (const absl::Status fit = CheckNewcomer(newcomer->wanted, response); !fit.ok()) {
    End(newcomer, fit);
    return;
  }
  kv::Membership::Adding adding{.name = newcomer->wanted.name(),
                                .peer_address = newcomer->wanted.peer_address(),
                                .data_id = response.data_id(),
                                .stay_learner = newcomer->wanted.stay_learner()};
  const log::v1::ConfiguredMember* const old =
      kv::FindMemberNamed(context_->directory->newest(), adding.name);
  if (newcomer->wanted.may_replace() && old != nullptr && old->data_id() != adding.data_id) {
    Replace(*old, std::move(adding), newcomer);
    return;
  }
  newcomer->over = true;
  hooks_.membership->Request(std::move(adding), newcomer->deadline, std::move(newcomer->done));
}

absl::Status MemberChanges::CheckReplaceable(const log::v1::ConfiguredMember& old,
                                             const std::string& peer_address) const {
  const auto refusal = [&](const std::string& why) {
    return kv::MemberExistsError("name", old.name(), old.id(), old.peer_address(), why);
  };
  if (!context_->auto_replace) {
    return refusal(absl::StrCat(
        "and the leader, member ", context_->self().id, " \"", context_->self().name,
        "\", runs without --auto_replace: restart the members with it, or replace that one by "
        "raftkvctl member replace ",
        old.name()));
  }
  // Nothing is known of the leader itself.
  const raft::FollowerProgress* const progress =
      context_->driver->core().progress(raft::NodeId(old.id()));
  if (progress == nullptr || !progress->is_silent()) {
    return refusal(absl::StrCat(
        "and the leader is that member, or has heard it or come to lead within ",
        2 * context_->election_timeout / kNanosPerMilli,
        " ms: only who is down is replaced. Stop it, if it runs; else this goes by itself"));
  }
  // Else the old one would be removed, and the new one could not be added.
  return kv::CheckAddressFree(context_->directory->newest(), peer_address, old.id());
}

// A node whose member was removed, and which was not added before this leader was lost, asks again,
// and then has nobody to replace.
void MemberChanges::Replace(const log::v1::ConfiguredMember& old, kv::Membership::Adding adding,
                            Newcomer* newcomer) {
  if (const absl::Status replaceable = CheckReplaceable(old, adding.peer_address);
      !replaceable.ok()) {
    End(newcomer, replaceable);
    return;
  }
  LOG(WARNING) << "member " << old.id() << " \"" << old.name() << "\" has come back at "
               << adding.peer_address << " without its data: it is to be replaced (--auto_replace)";
  // It counts no more than the one before did.
  adding.stay_learner = old.stay_learner();
  newcomer->over = true;
  hooks_.membership->Request(
      kv::Membership::Removing{old.id()}, newcomer->deadline,
      [membership = hooks_.membership, adding = std::move(adding), deadline = newcomer->deadline,
       done = std::move(newcomer->done)](const absl::StatusOr<uint64_t>& removed) {
        if (removed.ok()) {
          membership->Request(adding, deadline, done);
        } else {
          done(removed.status());
        }
      });
}

absl::Status MemberChanges::CheckNewcomer(const peer::v1::AddedMember& wanted,
                                          const peer::v1::HelloResponse& response) const {
  const std::string who = absl::StrCat("the node at ", wanted.peer_address());
  if (response.name() != wanted.name()) {
    return kv::UnfitMemberError(
        absl::StrCat(who, " is \"", response.name(), "\", not \"", wanted.name(), "\""));
  }
  if (response.protocol_version() != wire::kProtocolVersion) {
    return kv::UnfitMemberError(absl::StrCat(who, " speaks version ", response.protocol_version(),
                                             " of the peer protocol, this cluster ",
                                             wire::kProtocolVersion));
  }
  if (response.has_configuration()) {
    const auto& members = context_->directory->newest().members();
    const bool is_member =
        std::any_of(members.begin(), members.end(), [&response](const auto& member) {
          return member.data_id() == response.data_id() && member.name() == response.name();
        });
    if (is_member) {
      return absl::OkStatus();
    }
    const uint64_t cluster = response.configuration().cluster_id();
    return kv::UnfitMemberError(
        cluster == context_->directory->cluster_id()
            ? absl::StrCat(who,
                           " was removed from this cluster: start it with an empty "
                           "--data_dir and --wait_for_invite")
            : absl::StrCat(who, " belongs to cluster ", cluster,
                           ": start it with an empty --data_dir and --wait_for_invite"));
  }
  if (!response.awaits_invitation()) {
    return kv::UnfitMemberError(
        absl::StrCat(who,
                     " waits for the others of its --initial_cluster, to found a cluster: "
                     "start it with --wait_for_invite instead"));
  }
  const uint32_t needed = context_->directory->cluster_version();
  if (response.command_version() < needed) {
    return kv::UnfitMemberError(absl::StrCat(who, " is too old: it knows the commands of version ",
                                             response.command_version(),
                                             ", and the cluster is at version ", needed));
  }
  return absl::OkStatus();
}

void MemberChanges::End(Newcomer* newcomer, const absl::Status& status) {
  newcomer->over = true;
  newcomer->done(status);
}

void MemberChanges::Tick() {
  const MonotonicNanos now = context_->clock->Now();
  for (Newcomer& newcomer : newcomers_) {
    if (!newcomer.over && now >= newcomer.patience) {
      End(&newcomer, kv::MemberUnreachableError(newcomer.wanted.peer_address(), newcomer.problem));
    } else if (!newcomer.over && context_->driver->core().role() != raft::RaftRole::kLeader) {
      End(&newcomer, kv::NoLeaderError());
    } else if (!newcomer.over) {
      newcomer.asker->Tick();
    }
  }
  newcomers_.remove_if([](const Newcomer& newcomer) { return newcomer.over; });
}

void MemberChanges::Shutdown() {
  for (Newcomer& newcomer : newcomers_) {
    if (!newcomer.over) {
      End(&newcomer, kv::ShuttingDownError());
    }
  }
  newcomers_.clear();
}

}  // namespace raftkv::server
