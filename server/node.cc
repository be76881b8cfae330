#include "server/node.h"

#include <utility>

namespace raftkv::server {

void Node::FillHeader(int64_t revision, v1::ResponseHeader* header) const {
  header->set_cluster_id(configuration().has_value() ? configuration()->cluster_id() : 0);
  header->set_member_id(member_id);
  header->set_leader_id(driver->core().leader().value());
  header->set_raft_term(driver->core().term().value());
  header->set_revision(revision);
}

bool Node::ReadOnPool(
    std::function<std::function<void()>(const storage::KvView& view)> read) const {
  return pool->Submit(
      [event_loop = loop, view = state_machine->TakeView(), read = std::move(read)]() mutable {
        std::function<void()> reply = read(*view);
        view.reset();
        event_loop->Post(std::move(reply));
      });
}

}  // namespace raftkv::server
