#include "server/peer/founding.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/stable_hash.h"
#include "kv/command_version.h"
#include "kv/member_list.h"
#include "raft/wire/identity.h"
#include "server/log_text.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kLogInterval = 5 * kNanosPerSecond;

template <typename Message>
bool ListsTheSame(const Message& message, const std::vector<Founder>& founders) {
  return std::equal(message.founders().begin(), message.founders().end(), founders.begin(),
                    founders.end(), [](const peer::v1::Founder& theirs, const Founder& ours) {
                      return theirs.name() == ours.name &&
                             theirs.peer_address() == ours.peer_address;
                    });
}

// What another founder's data was made from, which is not what this one's was; a clause.
std::string DescribeOrigin(uint64_t theirs, uint64_t ours) {
  if (theirs == 0) {
    return "its data is new, and that of this member was restored from a backup";
  }
  return ours == 0 ? "its data was restored from a backup, and that of this member is new"
                   : "its data was restored from another backup than that of this member";
}

template <typename Message>
void FillFounders(const std::vector<Founder>& founders, Message* message) {
  for (const Founder& founder : founders) {
    peer::v1::Founder* entry = message->add_founders();
    entry->set_name(founder.name);
    entry->set_peer_address(founder.peer_address);
  }
}

}  // namespace

log::v1::ClusterConfiguration MakeFoundingRecord(const std::vector<Founder>& founders,
                                                 const std::map<std::string, uint64_t>& data_ids,
                                                 uint64_t restored_from) {
  log::v1::ClusterConfiguration record;
  std::string identity;
  for (size_t i = 0; i < founders.size(); ++i) {
    log::v1::ConfiguredMember* member = record.add_members();
    member->set_id(i + 1);
    member->set_name(founders[i].name);
    member->set_peer_address(founders[i].peer_address);
    member->set_data_id(data_ids.at(founders[i].name));
    record.add_voters(member->id());
    // Neither names nor addresses hold these separators.
    absl::StrAppend(&identity, member->id(), "=", member->name(), "@", member->peer_address(), "#",
                    member->data_id(), ";");
  }
  if (restored_from != 0) {
    absl::StrAppend(&identity, "from ", restored_from);
  }
  record.set_cluster_id(std::max<uint64_t>(1, StableHash(identity)));
  return record;
}

absl::Status CheckFoundedRecord(const log::v1::ClusterConfiguration& record,
                                const std::vector<Founder>& founders, const std::string& name,
                                uint64_t data_id) {
  const log::v1::ConfiguredMember* const self = kv::FindMemberNamed(record, name);
  if (self == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat(", which has no member \"", name, "\": check --name and --initial_cluster"));
  }
  if (self->data_id() != data_id) {
    return absl::FailedPreconditionError(absl::StrCat(
        ", in which member \"", name, "\" has data ", absl::Hex(self->data_id()),
        ", but the data here is new (", absl::Hex(data_id),
        "): this member's data was wiped or --data_dir is wrong. A wiped member must not vote "
        "again under its old identity. Start it with its old data; if that is lost, start it with "
        "--wait_for_invite instead of --initial_cluster, and have the other members take it back "
        "as a new one: raftkvctl member replace ",
        name,
        ", with the endpoint of another member. Members that show certificates to each other do "
        "all that by themselves when each runs with --auto_replace"));
  }
  // Members have come and gone since: the list cannot be compared any more, but this member's id.
  if (record.last_member_id() != 0) {
    const auto place =
        std::find_if(founders.begin(), founders.end(),
                     [&name](const Founder& founder) { return founder.name == name; });
    if (self->id() == static_cast<uint64_t>(place - founders.begin()) + 1) {
      return absl::OkStatus();
    }
  }
  // Ids are places in the list, and this member already goes by the one that its own list gives it.
  const bool same_list =
      std::equal(record.members().begin(), record.members().end(), founders.begin(), founders.end(),
                 [&founders](const log::v1::ConfiguredMember& theirs, const Founder& ours) {
                   return theirs.id() == static_cast<uint64_t>(&ours - founders.data()) + 1 &&
                          theirs.name() == ours.name && theirs.peer_address() == ours.peer_address;
                 });
  if (!same_list) {
    return absl::FailedPreconditionError(absl::StrCat(
        ", which this member helped to found from another list than --initial_cluster says now: "
        "start it with --initial_cluster=",
        absl::StrJoin(record.members(), ",",
                      [](std::string* out, const log::v1::ConfiguredMember& member) {
                        absl::StrAppend(out, member.name(), "=", member.peer_address());
                      })));
  }
  return absl::OkStatus();
}

absl::Status CheckStoredIdentity(const log::v1::ClusterConfiguration& configuration,
                                 uint64_t member_id, const std::string& name) {
  if (kv::WasRemoved(configuration, member_id)) {
    return absl::FailedPreconditionError(RemovedText(configuration.cluster_id(), member_id, name));
  }
  // A member that joined has not applied yet what made it one.
  if (member_id > kv::LastMemberId(configuration)) {
    return absl::OkStatus();
  }
  std::vector<std::string> members;
  for (const log::v1::ConfiguredMember& member : configuration.members()) {
    if (member.id() == member_id && member.name() == name) {
      return absl::OkStatus();
    }
    members.push_back(absl::StrCat(member.id(), " \"", member.name(), "\""));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("its member ", member_id, " \"", name, "\" is not in its own configuration of ",
                   absl::StrJoin(members, ", "),
                   ": put back an intact copy of the directory, or keep this member stopped; the "
                   "others go on as long as a majority of them is intact"));
}

std::string RemovedText(uint64_t cluster_id, uint64_t member_id, const std::string& name) {
  return absl::StrCat("member ", member_id, " \"", name, "\" was removed from cluster ", cluster_id,
                      ", and never comes back as that member. To let the node join again, start it "
                      "with an empty --data_dir and --join or --wait_for_invite");
}

std::string ListDifference(const kv::MemberDirectory& directory,
                           const std::vector<Founder>& founders) {
  if (founders.empty()) {
    return "";
  }
  std::map<std::string, std::string> told;
  for (const Founder& founder : founders) {
    told[founder.name] = founder.peer_address;
  }
  std::vector<std::string> differences;
  for (const kv::MemberEntry& member : directory.Members()) {
    const std::string& known = member.peer_address;
    const auto entry = told.find(member.name);
    if (entry == told.end()) {
      differences.push_back(absl::StrCat("it lacks ", member.name, "=", known));
    } else if (entry->second != known) {
      differences.push_back(absl::StrCat(member.name, "=", entry->second, " instead of ", known));
    }
    told.erase(member.name);
  }
  for (const auto& [name, address] : told) {
    differences.push_back(absl::StrCat(name, "=", address, " is no member"));
  }
  return absl::StrJoin(differences, ", ");
}

peer::v1::HelloResponse AnswerHello(const PeerContext& context,
                                    const std::vector<Founder>& founders) {
  peer::v1::HelloResponse response;
  response.set_name(context.self().name);
  response.set_data_id(context.self().data_id);
  response.set_protocol_version(wire::kProtocolVersion);
  response.set_command_version(kv::OwnCommandVersion());
  response.set_restored_from(context.self().restored_from);
  if (!context.directory->founded()) {
    FillFounders(founders, &response);
    return response;
  }
  *response.mutable_configuration() = *context.directory->configuration();
  for (const auto& [name, address] : context.directory->addresses().seen()) {
    peer::v1::Founder* entry = response.add_seen_members();
    entry->set_name(name);
    entry->set_peer_address(address);
  }
  return response;
}

peer::v1::HelloRequest MakeHello(const PeerContext& context, const std::vector<Founder>& founders) {
  peer::v1::HelloRequest request;
  request.set_name(context.self().name);
  request.set_data_id(context.self().data_id);
  request.set_protocol_version(wire::kProtocolVersion);
  request.set_peer_address(context.self().peer_address);
  request.set_restored_from(context.self().restored_from);
  FillFounders(founders, &request);
  return request;
}

Founding::Founding(PeerContext* context, std::vector<Founder> founders, Hooks hooks)
    : context_(context), founders_(std::move(founders)), hooks_(std::move(hooks)) {
  for (const Founder& founder : founders_) {
    if (founder.name != context_->self().name) {
      Peer& peer = peers_.emplace_back();
      peer.founder = founder;
      peer.asker = hooks_.new_asker(
          founder,
          [this, &peer](const grpc::Status& status, const peer::v1::HelloResponse& response) {
            OnAnswer(&peer, status, response);
          });
    }
  }
  next_log_ = context_->clock->Now() + kLogInterval / 5;
}

void Founding::Tick() {
  if (over_) {
    return;
  }
  const MonotonicNanos now = context_->clock->Now();
  for (Peer& peer : peers_) {
    peer.asker->Tick();
  }
  if (now >= next_log_) {
    next_log_ = now + kLogInterval;
    if (const std::string waiting = Describe(); !waiting.empty()) {
      LOG(INFO) << "founding: " << waiting;
    }
  }
  FoundWhenAllAnswered();
}

std::string Founding::Describe() const {
  std::vector<std::string> waiting;
  for (const Peer& peer : peers_) {
    if (peer.data_id == 0) {
      waiting.push_back(absl::StrCat(peer.founder.name, " at ", peer.founder.peer_address, " (",
                                     peer.problem, ")"));
    }
  }
  return waiting.empty() ? "" : absl::StrCat("waiting for ", absl::StrJoin(waiting, ", "));
}

void Founding::OnAnswer(Peer* peer, const grpc::Status& status,
                        const peer::v1::HelloResponse& response) {
  if (over_) {
    return;
  }
  peer->data_id = 0;
  if (!status.ok()) {
    peer->problem = PeerFailureText(status);
    return;
  }
  if (response.protocol_version() != wire::kProtocolVersion) {
    peer->problem = absl::StrCat("it speaks version ", response.protocol_version(),
                                 " of the peer protocol, this member ", wire::kProtocolVersion);
    return;
  }
  if (response.has_configuration()) {
    OnFoundedPeer(peer, response);
    return;
  }
  if (response.name() != peer->founder.name) {
    peer->problem = absl::StrCat("it says that it is \"", response.name(), "\"");
    return;
  }
  if (!ListsTheSame(response, founders_)) {
    peer->problem = "it was started with another --initial_cluster";
    return;
  }
  const uint64_t restored_from = context_->self().restored_from;
  if (response.restored_from() != restored_from) {
    peer->problem = absl::StrCat(DescribeOrigin(response.restored_from(), restored_from),
                                 ": all founders must be restored from the same file");
    return;
  }
  peer->data_id = response.data_id();
}

// A founder that belongs to a cluster already has the record that this node is to adopt, if it is
// in it.
void Founding::OnFoundedPeer(Peer* peer, const peer::v1::HelloResponse& response) {
  over_ = true;
  const log::v1::ClusterConfiguration& record = response.configuration();
  const kv::MemberDirectory::Self& self = context_->self();
  const uint64_t restored_from = self.restored_from;
  const log::v1::ConfiguredMember* const was = kv::FindMemberNamed(record, self.name);
  // Also whom the leader has added in its own place already, and who was restarted before it was
  // invited: its id is none of the founders'. What was restored is not empty, so no log can be
  // brought to it.
  if (context_->auto_replace && restored_from == 0 && was != nullptr &&
      (was->data_id() != self.data_id || was->id() > founders_.size())) {
    LOG(WARNING) << absl::StrCat(
        "--data_dir=", context_->data_dir, " is new (", absl::Hex(self.data_id), "), and cluster ",
        record.cluster_id(), " has a member \"", self.name, "\", ", was->id(), ", with data ",
        absl::Hex(was->data_id()),
        ": it was wiped. By --auto_replace this node asks the other members to take it in that "
        "one's place, and neither votes nor answers until they have");
    hooks_.on_wiped();
    return;
  }
  absl::Status adoptable = CheckFoundedRecord(record, founders_, self.name, self.data_id);
  if (adoptable.ok() && response.restored_from() != restored_from) {
    adoptable = absl::FailedPreconditionError(
        absl::StrCat(", but ", DescribeOrigin(response.restored_from(), restored_from),
                     ": empty this directory and restore it from the file of the others"));
  }
  if (adoptable.ok()) {
    hooks_.on_founded(record);
    return;
  }
  hooks_.on_refused(absl::StrCat("--data_dir=", context_->data_dir, ": member \"",
                                 peer->founder.name, "\" at ", peer->founder.peer_address,
                                 " belongs to cluster ", record.cluster_id(), adoptable.message()));
}

void Founding::FoundWhenAllAnswered() {
  std::map<std::string, uint64_t> data_ids;
  data_ids[context_->self().name] = context_->self().data_id;
  for (const Peer& peer : peers_) {
    if (peer.data_id == 0) {
      return;
    }
    data_ids[peer.founder.name] = peer.data_id;
  }
  over_ = true;
  hooks_.on_founded(MakeFoundingRecord(founders_, data_ids, context_->self().restored_from));
}

}  // namespace raftkv::server
