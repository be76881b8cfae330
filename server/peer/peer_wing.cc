#include "server/peer/peer_wing.h"

#include <glog/logging.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kv/member_list.h"
#include "server/peer/grpc_hello_asker.h"

namespace raftkv::server {

PeerWing::PeerWing(const ServerOptions* options, std::vector<Founder> founders,
                   storage::Storage* storage, kv::MemberDirectory* directory,
                   std::shared_ptr<PortTls> tls, kv::DiskPool* snapshots, EventLoop* loop,
                   const MonotonicClock* clock, Hooks hooks)
    : options_(*options),
      founders_(std::move(founders)),
      storage_(*storage),
      hooks_(std::move(hooks)) {
  context_.clock = clock;
  context_.loop = loop;
  context_.directory = directory;
  context_.state_machine = storage_.state_machine();
  context_.snapshots = snapshots;
  context_.election_timeout = options_.election_timeout_ms * kNanosPerMilli;
  context_.auto_replace = options_.auto_replace;
  context_.data_dir = options_.data_dir;
  context_.stop_unusable = hooks_.stop_unusable;
  context_.on_removed = [this] { OnRemoved(); };
  context_.tls = std::move(tls);
  std::map<std::string, std::string> told;
  for (const Founder& founder : founders_) {
    told[founder.name] = founder.peer_address;
  }
  directory->addresses().SetTold(std::move(told));
}

void PeerWing::Register(grpc::ServerBuilder* builder) {
  builder->RegisterService(service_.raft_service());
  builder->RegisterService(service_.forward_service());
}

void PeerWing::Start() {
  service_.Start(
      {.on_hello = [this](const peer::v1::HelloRequest& request) { return OnHello(request); },
       .on_peer_seen =
           [this](raft::NodeId peer, const std::string& address, const std::string& caller) {
             transport_.OnPeerSeen(peer, address, caller);
           },
       .on_change =
           [this](const peer::v1::ChangeMembersRequest& change, bool may_forward,
                  kv::Membership::Done done) {
             const MonotonicNanos deadline =
                 context_.clock->Now() + options_.request_timeout_ms * kNanosPerMilli;
             member_changes_.Request(change, may_forward, deadline, std::move(done));
           }});
}

void PeerWing::SetMember(kv::Member* member) {
  context_.driver = &member->driver();
  member_changes_.SetHooks(
      {.new_asker =
           [this](const std::string& name, const std::string& peer_address,
                  HelloAsker::OnAnswer on_answer) {
             return std::make_unique<GrpcHelloAsker>(
                 &context_, name, [peer_address] { return std::vector<std::string>{peer_address}; },
                 MakeHello(context_, {}), std::move(on_answer));
           },
       .forward =
           [this](raft::NodeId leader, peer::v1::ChangeMembersRequest change,
                  MonotonicNanos deadline, kv::Membership::Done done) {
             transport_.ChangeMembers(leader, std::move(change), deadline, std::move(done));
           },
       .membership = member->membership()});
}

peer::v1::HelloResponse PeerWing::OnHello(const peer::v1::HelloRequest& request) {
  if (joining_ != nullptr) {
    joining_->OnHello(request);
  }
  peer::v1::HelloResponse response = AnswerHello(context_, founders_);
  response.set_awaits_invitation(joining_ != nullptr && !context_.directory->founded());
  return response;
}

void PeerWing::LogCluster() const {
  const kv::MemberDirectory& directory = *context_.directory;
  LOG(INFO) << "member " << directory.self().id << " \"" << directory.self().name << "\", data in "
            << options_.data_dir;
  if (context_.tls != nullptr && !context_.tls->files().client_cert_auth) {
    LOG(WARNING) << "the peer port has TLS, but asks nobody for a certificate: whoever reaches it "
                    "can speak as any member. Give --peer_client_cert_auth=true";
  }
  if (!directory.founded()) {
    if (options_.Joins()) {
      return;  // Joining says so.
    }
    LOG(INFO) << "no cluster yet: founding one of " << std::max<size_t>(1, founders_.size())
              << " member(s)";
    return;
  }
  std::vector<std::string> members;
  for (const log::v1::ConfiguredMember& member : directory.configuration()->members()) {
    members.push_back(absl::StrCat(member.name(), "=", member.peer_address()));
  }
  LOG(INFO) << "cluster " << directory.cluster_id() << " of " << absl::StrJoin(members, ", ");
  if (const std::string difference = ListDifference(directory, founders_); !difference.empty()) {
    LOG(WARNING) << "--initial_cluster differs from what --data_dir=" << options_.data_dir
                 << " says: " << difference
                 << ". The cluster stays as it is; members are looked for at the addresses of both";
  }
}

void PeerWing::Join() {
  if (context_.directory->founded()) {
    transport_.FollowMembers();
    foreign_data_check_ = std::make_unique<ForeignDataCheck>(&context_, context_.stop_unusable);
    return;
  }
  if (options_.Joins()) {
    BeginJoining(*ParseAddressList(options_.join));
    return;
  }
  if (founders_.size() <= 1) {
    const kv::MemberDirectory::Self& self = context_.self();
    founders_ = {Founder{.name = self.name, .peer_address = self.peer_address}};
    OnFounded(MakeFoundingRecord(founders_, {{self.name, self.data_id}}, self.restored_from));
    return;
  }
  founding_ = std::make_unique<Founding>(
      &context_, founders_,
      Founding::Hooks{
          .new_asker =
              [this](const Founder& founder, HelloAsker::OnAnswer on_answer) {
                return std::make_unique<GrpcHelloAsker>(
                    &context_, founder.name,
                    [address = founder.peer_address] { return std::vector<std::string>{address}; },
                    MakeHello(context_, founders_), std::move(on_answer));
              },
          .on_founded = [this](const log::v1::ClusterConfiguration& record) { OnFounded(record); },
          .on_wiped = [this] { OnWiped(); },
          .on_refused = context_.stop_unusable});
}

void PeerWing::OnFounded(const log::v1::ClusterConfiguration& record) {
  storage_.Found(context_.self().name, context_.self().id, record);
  LOG(INFO) << "cluster " << record.cluster_id() << " is founded with " << record.members_size()
            << " member(s)";
  context_.driver->SetDormant(false);
  transport_.FollowMembers();
}

// Who it was is for the others to remove: from here on this node is one that joins.
void PeerWing::OnWiped() {
  std::vector<std::string> others;
  for (const Founder& founder : founders_) {
    if (founder.name != context_.self().name) {
      others.push_back(founder.peer_address);
    }
  }
  context_.directory->SetSelfId(0);
  BeginJoining(std::move(others));
}

void PeerWing::BeginJoining(std::vector<std::string> addresses) {
  joining_ = std::make_unique<Joining>(
      &context_, std::move(addresses),
      [this](uint64_t id, const auto& configuration) { OnInvited(id, configuration); });
}

// The log that goes with it comes from the leader, from its first entry on or as a snapshot. What
// stands in older configurations of it, this member is not in, so it neither votes nor campaigns by
// them.
void PeerWing::OnInvited(uint64_t id, const log::v1::ClusterConfiguration& configuration) {
  storage_.Found(context_.self().name, id, configuration);
  context_.directory->SetSelfId(id);
  has_been_member_ = true;
  hooks_.on_joined(id, kv::IdsOf(configuration));
  LOG(INFO) << "joined cluster " << configuration.cluster_id() << " as member " << id << ", one of "
            << configuration.members_size();
  transport_.FollowMembers();
}

void PeerWing::OnRemoved() {
  if (removed_ || shut_down_) {
    return;
  }
  removed_ = true;
  const kv::MemberDirectory::Self& self = context_.self();
  hooks_.on_removed(RemovedText(context_.directory->cluster_id(), self.id, self.name),
                    /*at_start=*/!has_been_member_);
}

void PeerWing::Tick() {
  if (context_.directory->founded() || joining_ != nullptr) {
    founding_.reset();
  } else if (founding_ != nullptr) {
    founding_->Tick();
  }
  if (foreign_data_check_ != nullptr) {
    foreign_data_check_->Tick();
  }
  if (joining_ != nullptr && context_.directory->founded()) {
    joining_.reset();
  } else if (joining_ != nullptr) {
    joining_->Tick();
  }
  if (context_.directory->founded() && !shut_down_) {
    has_been_member_ = has_been_member_ || context_.driver->core().leader() != raft::kNobody;
    context_.directory->FollowLog(context_.driver->core().configuration_payload());
    transport_.FollowMembers();
    if (context_.directory->IsRemoved(context_.self().id)) {
      OnRemoved();
    }
  }
  member_changes_.Tick();
  transport_.Tick();
  service_.Tick();
  if (context_.directory->founded() && !shut_down_) {
    quorum_watch_.Tick();
  }
}

void PeerWing::Shutdown() {
  shut_down_ = true;
  founding_.reset();
  joining_.reset();
  foreign_data_check_.reset();
  member_changes_.Shutdown();
  transport_.Shutdown();
  service_.Shutdown();
}

std::vector<std::string> PeerWing::Warnings() const {
  std::vector<std::string> warnings;
  if (!context_.directory->founded()) {
    if (joining_ != nullptr) {
      return {joining_->Describe()};
    }
    if (founding_ != nullptr) {
      warnings.push_back(absl::StrCat("the cluster is not founded yet: ", founding_->Describe()));
    }
  } else if (std::string warning = quorum_watch_.Warning(); !warning.empty()) {
    warnings.push_back(std::move(warning));
  }
  if (context_.refusals.count() > 0) {
    warnings.push_back(absl::StrCat("refused ", context_.refusals.count(),
                                    " peer calls, the last one: ", context_.refusals.last()));
  }
  return warnings;
}

PeerWingFigures PeerWing::Figures() const {
  return {.peers = transport_.Figures(), .refused_calls = context_.refusals.count()};
}

}  // namespace raftkv::server
