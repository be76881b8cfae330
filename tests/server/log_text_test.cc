#include "server/log_text.h"

#include <gtest/gtest.h>

namespace raftkv::server {
namespace {

TEST(EventTextTest, CountsInMilliseconds) {
  raft::Event event;
  event.kind = raft::Event::Kind::kRoleChanged;
  event.role = raft::RaftRole::kPreCandidate;
  event.term = raft::Term(3);
  const auto ends = [&event](const std::string& reason) {
    event.reason = reason;
    const std::string text = EventText(event);
    return text.substr(text.rfind(": ") + 2);
  };
  EXPECT_EQ(ends("heard nothing from leader 2 for 134 ticks"),
            "heard nothing from leader 2 for 1340 ms");
  EXPECT_EQ(ends("1 ticks, then 20 ticks"), "10 ms, then 200 ms");
  EXPECT_EQ(ends("pre-votes of 1, 2"), "pre-votes of 1, 2");
  EXPECT_EQ(ends("no ticks"), "no ticks");
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
