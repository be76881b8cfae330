#include "server/api/response_header.h"

#include <google/protobuf/util/time_util.h>

namespace raftkv::server {

void ResponseHeaderFiller::operator()(int64_t revision, v1::ResponseHeader* header) const {
  const raft::RaftStatus raft = store_->raft();
  header->set_cluster_id(directory_->cluster_id());
  header->set_member_id(directory_->self().id);
  header->set_leader_id(raft.leader.value());
  header->set_raft_term(raft.term.value());
  header->set_revision(revision);
}

void ResponseHeaderFiller::operator()(const kv::Store::ReadPoint& at,
                                      v1::ResponseHeader* header) const {
  (*this)(at.revision, header);
  if (at.age.has_value()) {
    *header->mutable_staleness() = google::protobuf::util::TimeUtil::NanosecondsToDuration(*at.age);
  }
}

}  // namespace raftkv::server
