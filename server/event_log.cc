#include "server/event_log.h"

#include <glog/logging.h>

#include "server/log_text.h"

namespace raftkv::server {

void EventLog::OnEvent(const raft::Event& event) {
  switch (event.kind) {
    case raft::Event::Kind::kRoleChanged:
    case raft::Event::Kind::kLogTruncated:
    case raft::Event::Kind::kConfigurationChanged:
      LOG(INFO) << EventText(event);
      return;
    case raft::Event::Kind::kLeaderChanged:
      if (event.leader == raft::kNobody) {
        LOG(INFO) << EventText(event);
      } else {
        LOG(INFO) << "following member " << directory_.Describe(event.leader) << ", leader of term "
                  << event.term;
      }
      return;
  }
}

}  // namespace raftkv::server
