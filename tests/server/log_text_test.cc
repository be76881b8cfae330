#include "server/log_text.h"

#include <gtest/gtest.h>

namespace raftkv::server {
namespace {

TEST(EventTextTest, CountsInMilliseconds) {
  raft::Event event;
  event.kind = raft::Event::Kind::kRoleChanged;
  event.role = raft::RaftRole::kPreCandidate;
  event.term = raft::Term(3);
  event.cause = {
      .reason = raft::EventCause::Reason::kLeaderSilent, .peer = raft::NodeId(2), .ticks = 134};
  EXPECT_EQ(EventText(event),
            "pre-candidate term=3 leader=nobody: heard nothing from leader 2 for 1340 ms");
}

TEST(PeerFailureTextTest, ShortensOnlyWhatNoPeerSaid) {
  using grpc::StatusCode;
  EXPECT_EQ(PeerFailureText(grpc::Status(StatusCode::UNAVAILABLE,
                                         "failed to connect to all addresses; last error: "
                                         "UNKNOWN: ipv4:127.0.0.1:1: Connection refused")),
            "Connection refused");
  EXPECT_EQ(PeerFailureText(grpc::Status(StatusCode::FAILED_PRECONDITION, "ids differ: 1 and 2")),
            "ids differ: 1 and 2");
}

}  // namespace
}  // namespace raftkv::server
