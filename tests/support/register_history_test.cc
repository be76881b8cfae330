// The checker finds what it is there for.
#include "tests/support/register_history.h"

#include <gtest/gtest.h>

namespace raftkv::integration {
namespace {

Reply<v1::PutResponse> Acknowledged(int64_t revision) {
  Reply<v1::PutResponse> reply;
  reply.response.set_mod_revision(revision);
  reply.response.mutable_header()->set_revision(revision);
  return reply;
}

Reply<v1::PutResponse> Failed(grpc::StatusCode code, const std::string& reason) {
  Reply<v1::PutResponse> reply;
  reply.status = grpc::Status(code, "");
  reply.reason = reason;
  return reply;
}

Reply<v1::GetResponse> Found(const std::string& value, int64_t revision, int64_t store_revision,
                             int64_t version = 1) {
  Reply<v1::GetResponse> reply;
  reply.response.mutable_header()->set_revision(store_revision);
  reply.response.mutable_kv()->set_text(value);
  reply.response.mutable_kv()->set_mod_revision(revision);
  reply.response.mutable_kv()->set_version(version);
  return reply;
}

class RegisterHistoryTest : public testing::Test {
 protected:
  std::string Write(const Reply<v1::PutResponse>& reply) {
    const std::string value = history_.BeginWrite("k");
    history_.EndWrite("k", value, reply);
    return value;
  }

  void Read(const Reply<v1::GetResponse>& reply) {
    history_.EndRead("k", history_.BeginRead("k"), reply, "somebody");
  }

  RegisterHistory history_;
};

TEST_F(RegisterHistoryTest, AHistoryThatIsRightHasNoViolations) {
  const std::string first = Write(Acknowledged(1));
  const std::string second = Write(Acknowledged(3));
  Read(Found(second, 3, 4));
  const std::string unknown = Write(Failed(grpc::StatusCode::UNKNOWN, "OUTCOME_UNKNOWN"));
  Read(Found(unknown, 5, 5));
  history_.CheckFinal("k", Found(unknown, 5, 5, 3)->kv(), "somebody");
  EXPECT_TRUE(history_.violations().empty()) << history_.violations()[0];
  EXPECT_NE(first, second);
}

TEST_F(RegisterHistoryTest, AReadThatMissesAnAcknowledgedWriteIsStale) {
  const std::string first = Write(Acknowledged(1));
  Write(Acknowledged(2));
  Read(Found(first, 1, 2));
  EXPECT_EQ(history_.violations().size(), 1U);
}

TEST_F(RegisterHistoryTest, AReadThatFindsNothingAfterAWriteIsStale) {
  Write(Acknowledged(1));
  Reply<v1::GetResponse> nothing;
  nothing.response.mutable_header()->set_revision(1);
  Read(nothing);
  EXPECT_EQ(history_.violations().size(), 1U);
}

TEST_F(RegisterHistoryTest, AReadMayNotGoBackBehindAnotherRead) {
  const std::string value = Write(Failed(grpc::StatusCode::UNKNOWN, "OUTCOME_UNKNOWN"));
  Read(Found(value, 7, 7));
  Read(Found("", 0, 7));
  EXPECT_EQ(history_.violations().size(), 1U);
}

TEST_F(RegisterHistoryTest, AReadMayNotGoBackBehindTheStoresRevision) {
  const std::string value = Write(Acknowledged(5));
  Read(Found(value, 5, 4));
  EXPECT_EQ(history_.violations().size(), 1U);
}

TEST_F(RegisterHistoryTest, AReadThatBeganBeforeTheWriteMayMissIt) {
  const std::string first = Write(Acknowledged(1));
  const RegisterHistory::Floor floor = history_.BeginRead("k");
  Write(Acknowledged(2));
  history_.EndRead("k", floor, Found(first, 1, 1), "somebody");
  EXPECT_TRUE(history_.violations().empty());
}

TEST_F(RegisterHistoryTest, OneRevisionHasOneValue) {
  Write(Acknowledged(1));
  Read(Found("something else", 1, 1));
  EXPECT_EQ(history_.violations().size(), 1U);
}

TEST_F(RegisterHistoryTest, ALostWriteShowsInTheVersion) {
  Write(Acknowledged(1));
  const std::string value = Write(Acknowledged(2));
  history_.CheckFinal("k", Found(value, 2, 2, 1)->kv(), "somebody");
  EXPECT_EQ(history_.violations().size(), 1U);
}

TEST_F(RegisterHistoryTest, AWriteThatHappenedTwiceShowsInTheVersion) {
  const std::string value = Write(Acknowledged(1));
  history_.CheckFinal("k", Found(value, 2, 2, 2)->kv(), "somebody");
  EXPECT_EQ(history_.violations().size(), 1U);
}

TEST_F(RegisterHistoryTest, ARefusedWriteMayNotBeSeen) {
  Write(Acknowledged(1));
  const std::string refused = Write(Failed(grpc::StatusCode::UNAVAILABLE, "NO_LEADER"));
  Read(Found(refused, 2, 2, 2));
  history_.CheckFinal("k", Found(refused, 2, 2, 1)->kv(), "somebody");
  EXPECT_EQ(history_.violations().size(), 1U);
}

}  // namespace
}  // namespace raftkv::integration
