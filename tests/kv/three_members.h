// A cluster of two voters and a learner, on paper.
#pragma once

#include <string>

#include "kv/member_directory.h"
#include "raftkv/log/v1/configuration.pb.h"

namespace raftkv::kv {

inline log::v1::ClusterConfiguration ThreeMembers() {
  log::v1::ClusterConfiguration configuration;
  configuration.set_cluster_id(99);
  for (uint64_t id = 1; id <= 3; ++id) {
    log::v1::ConfiguredMember* member = configuration.add_members();
    member->set_id(id);
    member->set_name("n" + std::to_string(id));
    member->set_peer_address("founded:" + std::to_string(id));
    member->set_data_id(100 + id);
  }
  configuration.add_voters(1);
  configuration.add_voters(2);
  configuration.add_learners(3);
  return configuration;
}

inline MemberDirectory::Self SelfOf(uint64_t id) {
  return {.id = id,
          .name = "n" + std::to_string(id),
          .data_id = 100 + id,
          .client_address = "client:1",
          .peer_address = "peer:1"};
}

}  // namespace raftkv::kv
