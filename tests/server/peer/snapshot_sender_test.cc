#include "server/peer/snapshot_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/limits.h"
#include "server/loop/event_loop.h"
#include "tests/kv/fake_state_machine.h"
#include "tests/support/fake_clock.h"
#include "tests/support/log_lines.h"

namespace raftkv::server {
namespace {

using peer::v1::InstallSnapshotRequest;
using peer::v1::InstallSnapshotResponse;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const raft::SnapshotPoint kPoint{.last = {.term = raft::Term(3), .index = raft::LogIndex(70)},
                                 .stamp = raft::ClusterMillis(9)};

// Of a number of chunks, "c0" and so on. Tells of its end.
class FakeReader final : public raft::SnapshotReader {
 public:
  struct Content {
    uint64_t chunks = 3;
    uint64_t chunk_bytes = 0;  // 0: as long as its name.
    uint64_t kept = 256;
    uint64_t newest = 0;
    absl::Status failure;
    bool ended = false;
  };
  explicit FakeReader(Content* content) : content_(*content) {}
  ~FakeReader() override { content_.ended = true; }

  raft::SnapshotPoint point() const override { return kPoint; }
  absl::StatusOr<std::optional<std::string>> ReadChunk(uint64_t number) override {
    if (!content_.failure.ok()) {
      return content_.failure;
    }
    if (number + content_.kept < content_.newest) {
      return absl::OutOfRangeError("too far back");
    }
    if (number >= content_.chunks) {
      return std::nullopt;
    }
    content_.newest = std::max(content_.newest, number);
    std::string chunk = absl::StrCat("c", number);
    chunk.resize(std::max<size_t>(chunk.size(), content_.chunk_bytes), 'x');
    return chunk;
  }

 private:
  Content& content_;
};

class FakeSendingStream final : public SnapshotSender::Stream {
 public:
  void Write(const InstallSnapshotRequest& frame) override {
    EXPECT_FALSE(writing) << "one frame at a time";
    EXPECT_FALSE(abandoned);
    writing = true;
    frames.push_back(frame);
  }
  void Abandon() override {
    EXPECT_FALSE(abandoned);
    abandoned = true;
  }

  SnapshotSender::StreamOwner* owner = nullptr;
  peer::v1::SnapshotOpening opening;
  std::vector<InstallSnapshotRequest> frames;
  bool writing = true;  // The opening.
  bool abandoned = false;
};

class SnapshotSenderTest : public testing::Test {
 protected:
  void SetUp() override { Begin(); }

  void Begin() {
    sender_ = std::make_unique<SnapshotSender>(
        &clock_, &pool_, "2 \"n2\"", raft::Term(5), std::make_unique<FakeReader>(&content_),
        [this](SnapshotSender::StreamOwner* owner,
               const peer::v1::SnapshotOpening& opening) -> SnapshotSender::Stream* {
          if (!connected_) {
            return nullptr;
          }
          streams_.push_back(std::make_unique<FakeSendingStream>());
          streams_.back()->owner = owner;
          streams_.back()->opening = opening;
          return streams_.back().get();
        });
  }

  FakeSendingStream& stream() { return *streams_.back(); }
  void Tick(int count = 1) {
    for (int i = 0; i < count; ++i) {
      clock_.Advance(EventLoop::kTick);
      sender_->Tick();
      pool_.RunAll();
    }
  }
  // The transport takes all that is written, for so many ticks.
  void Run(int ticks = 10) {
    for (int i = 0; i < ticks; ++i) {
      Tick();
      while (!stream().abandoned && stream().writing) {
        stream().writing = false;
        stream().owner->OnWritten();
        pool_.RunAll();
      }
    }
  }
  void Answer(InstallSnapshotResponse::Outcome outcome, uint64_t next_chunk = 0) {
    InstallSnapshotResponse response;
    response.set_outcome(outcome);
    response.set_next_chunk(next_chunk);
    stream().owner->OnEnded(grpc::Status::OK, response);
  }
  void Fail(grpc::StatusCode code, const std::string& why = "why") {
    stream().owner->OnEnded(grpc::Status(code, why), {});
  }
  // What was written after the opening: "0=c0", and "total=3".
  std::vector<std::string> Written() {
    std::vector<std::string> texts;
    for (const InstallSnapshotRequest& frame : stream().frames) {
      texts.push_back(frame.has_chunk()
                          ? absl::StrCat(frame.chunk().number(), "=", frame.chunk().data())
                          : absl::StrCat("total=", frame.chunks_total()));
    }
    return texts;
  }
  std::string ResultMessage() {
    EXPECT_TRUE(sender_->result().has_value());
    return std::string(sender_->result().value_or(absl::OkStatus()).message());
  }

  LogLines log_;
  FakeClock clock_;
  FakeReader::Content content_;
  kv::ManualDiskPool pool_;
  bool connected_ = true;
  std::vector<std::unique_ptr<FakeSendingStream>> streams_;
  std::unique_ptr<SnapshotSender> sender_;
};

TEST_F(SnapshotSenderTest, BringsAllChunksAndTheirNumber) {
  EXPECT_THAT(streams_, IsEmpty()) << "nothing before the first tick";
  Run();
  EXPECT_EQ(stream().opening.term(), 5u);
  EXPECT_EQ(stream().opening.last_index(), 70u);
  EXPECT_EQ(stream().opening.last_term(), 3u);
  EXPECT_EQ(stream().opening.cluster_time_ms(), 9u);
  EXPECT_EQ(stream().opening.first_chunk(), 0u);
  EXPECT_THAT(Written(), ElementsAre("0=c0", "1=c1", "2=c2", "total=3"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(wire::FromProto(stream().frames[static_cast<size_t>(i)].chunk()).ok());
  }
  EXPECT_FALSE(sender_->result().has_value());
  Answer(InstallSnapshotResponse::OUTCOME_INSTALLED);
  EXPECT_EQ(sender_->result(), absl::OkStatus());
  EXPECT_THAT(log_.lines, ElementsAre(HasSubstr("sending member 2 \"n2\" a snapshot"),
                                      HasSubstr("has the snapshot as of entry")));
}

TEST_F(SnapshotSenderTest, AFollowerThatHasItIsDone) {
  Tick();
  Answer(InstallSnapshotResponse::OUTCOME_HAVE);
  EXPECT_EQ(sender_->result(), absl::OkStatus());
  Tick(1000);
  EXPECT_EQ(streams_.size(), 1u);
}

TEST_F(SnapshotSenderTest, ABrokenStreamGoesOnWhereTheFollowerIs) {
  content_.chunks = 5;
  Tick();
  for (int i = 0; i < 4; ++i) {  // The opening, and three chunks; a fourth is being written.
    stream().writing = false;
    stream().owner->OnWritten();
    pool_.RunAll();
  }
  EXPECT_THAT(Written(), ElementsAre("0=c0", "1=c1", "2=c2", "3=c3"));
  Fail(grpc::StatusCode::UNAVAILABLE);
  Tick();
  ASSERT_EQ(streams_.size(), 2u) << "at once";
  EXPECT_EQ(stream().opening.first_chunk(), 4u);
  Answer(InstallSnapshotResponse::OUTCOME_GO_ON_AT, 2);
  Run();
  ASSERT_EQ(streams_.size(), 3u) << "at once";
  EXPECT_EQ(stream().opening.first_chunk(), 2u);
  EXPECT_THAT(Written(), ElementsAre("2=c2", "3=c3", "4=c4", "total=5"));
}

TEST_F(SnapshotSenderTest, TheSecondAttemptWaits) {
  Run();
  Fail(grpc::StatusCode::UNAVAILABLE);
  Tick();
  EXPECT_EQ(streams_.size(), 2u);
  Fail(grpc::StatusCode::UNAVAILABLE);
  Tick(50);
  EXPECT_EQ(streams_.size(), 2u);
  Tick(60);
  EXPECT_EQ(streams_.size(), 3u);
}

TEST_F(SnapshotSenderTest, AFollowerThatStaysAwayIsGivenUp) {
  Run(1);
  connected_ = false;
  Fail(grpc::StatusCode::UNAVAILABLE, "gone");
  Tick(kSnapshotRetrySeconds * 100 - 10);
  EXPECT_FALSE(sender_->result().has_value());
  Tick(20);
  EXPECT_TRUE(absl::IsUnavailable(*sender_->result()));
  EXPECT_THAT(ResultMessage(), HasSubstr("gone"));
  EXPECT_THAT(log_.lines, Contains(HasSubstr("did not take the snapshot")));
}

TEST_F(SnapshotSenderTest, AFollowerThatNeverConnectsIsGivenUp) {
  connected_ = false;
  Tick(kSnapshotRetrySeconds * 100 + 10);
  EXPECT_TRUE(absl::IsUnavailable(*sender_->result()));
}

TEST_F(SnapshotSenderTest, AFollowerThatAlwaysRefusesIsGivenUp) {
  Tick();
  for (int second = 0; second <= kSnapshotRetrySeconds + 1 && !sender_->result(); ++second) {
    if (!stream().abandoned && streams_.size() == static_cast<size_t>(second) + 1) {
      Fail(grpc::StatusCode::RESOURCE_EXHAUSTED, "disk full");
    }
    Tick(101);
  }
  ASSERT_TRUE(sender_->result().has_value());
  EXPECT_THAT(ResultMessage(), HasSubstr("disk full"));
}

TEST_F(SnapshotSenderTest, WhatTriesAgainCannotHelpEndsIt) {
  for (const grpc::StatusCode code :
       {grpc::StatusCode::FAILED_PRECONDITION, grpc::StatusCode::INVALID_ARGUMENT,
        grpc::StatusCode::UNIMPLEMENTED}) {
    Begin();
    Tick();
    Fail(code, "never");
    ASSERT_TRUE(sender_->result().has_value());
    EXPECT_EQ(static_cast<int>(sender_->result()->code()), static_cast<int>(code));
    EXPECT_EQ(ResultMessage(), "never");
  }
}

TEST_F(SnapshotSenderTest, AFollowerThatForgotGetsItFromTheStart) {
  Run();
  Fail(grpc::StatusCode::UNAVAILABLE);
  Tick();
  EXPECT_EQ(stream().opening.first_chunk(), 3u);
  Answer(InstallSnapshotResponse::OUTCOME_GO_ON_AT, 0);
  Run();
  EXPECT_THAT(Written(), ElementsAre("0=c0", "1=c1", "2=c2", "total=3"));
}

TEST_F(SnapshotSenderTest, AFollowerThatForgetsAgainAndAgainIsGivenUp) {
  for (int restart = 0; restart < 4; ++restart) {
    ASSERT_FALSE(sender_->result().has_value()) << restart;
    Run();
    Fail(grpc::StatusCode::INTERNAL);
    Tick();
    Answer(InstallSnapshotResponse::OUTCOME_GO_ON_AT, 0);
  }
  ASSERT_TRUE(sender_->result().has_value());
  EXPECT_TRUE(absl::IsUnavailable(*sender_->result()));
  EXPECT_THAT(ResultMessage(), HasSubstr("wants chunk 0 again"));
}

TEST_F(SnapshotSenderTest, WhatWasReadForAnotherPlaceIsForgotten) {
  Tick();
  ASSERT_EQ(pool_.waiting(), 1u) << "chunk 1 is being read";
  stream().writing = false;
  stream().owner->OnWritten();
  Answer(InstallSnapshotResponse::OUTCOME_GO_ON_AT, 0);
  ASSERT_EQ(pool_.waiting(), 1u);
  Run();
  EXPECT_THAT(Written(), ElementsAre("0=c0", "1=c1", "2=c2", "total=3"));
}

TEST_F(SnapshotSenderTest, AChunkThatIsTooFarBackEndsIt) {
  content_.chunks = 10;
  content_.kept = 2;
  Run();
  Fail(grpc::StatusCode::UNAVAILABLE);
  Tick();
  Answer(InstallSnapshotResponse::OUTCOME_GO_ON_AT, 0);
  Tick(2);
  ASSERT_TRUE(sender_->result().has_value());
  EXPECT_TRUE(absl::IsOutOfRange(*sender_->result()));
}

TEST_F(SnapshotSenderTest, AFollowerCannotWantWhatWasNotRead) {
  Run(1);
  Answer(InstallSnapshotResponse::OUTCOME_GO_ON_AT, 99);
  EXPECT_TRUE(absl::IsInvalidArgument(*sender_->result()));
  EXPECT_THAT(ResultMessage(), HasSubstr("99"));
}

TEST_F(SnapshotSenderTest, AFollowerThatOnlySaysWhereToGoOnIsNotAskedWithoutPause) {
  Tick();
  for (int i = 0; i < 200; ++i) {
    if (!stream().abandoned && stream().writing) {
      stream().writing = false;
      Answer(InstallSnapshotResponse::OUTCOME_GO_ON_AT, 0);
    }
    Tick();
  }
  EXPECT_LE(streams_.size(), 7u);
}

TEST_F(SnapshotSenderTest, AnUnknownOutcomeEndsIt) {
  Tick();
  Answer(static_cast<InstallSnapshotResponse::Outcome>(17));
  EXPECT_TRUE(absl::IsInvalidArgument(*sender_->result()));
}

TEST_F(SnapshotSenderTest, AFailedReadEndsIt) {
  Run(1);
  content_.failure = absl::DataLossError("a file is corrupted");
  content_.chunks = 100;
  Begin();
  Tick(2);
  EXPECT_TRUE(absl::IsDataLoss(*sender_->result()));
  EXPECT_TRUE(stream().abandoned);
}

TEST_F(SnapshotSenderTest, AStreamThatTakesNothingIsGivenUp) {
  Tick();
  Tick(kSnapshotStallSeconds * 100 - 2);
  EXPECT_EQ(streams_.size(), 1u);
  Tick(5);
  EXPECT_TRUE(streams_.front()->abandoned);
  Tick(110);
  EXPECT_EQ(streams_.size(), 2u);
}

TEST_F(SnapshotSenderTest, TheAnswerMayTakeLonger) {
  Run();
  Tick(kSnapshotStallSeconds * 100 * 2);
  EXPECT_FALSE(stream().abandoned);
  Tick(kSnapshotAnswerSeconds * 100);
  EXPECT_TRUE(streams_.front()->abandoned);
}

TEST_F(SnapshotSenderTest, AnotherConnectionTakesAnotherStream) {
  Run();
  sender_->OnDisconnected("replaced");
  EXPECT_TRUE(streams_.front()->abandoned);
  Run();
  EXPECT_EQ(streams_.size(), 2u);
  EXPECT_THAT(Written(), ElementsAre("total=3")) << "the follower would say if it lacked some";
}

// Of 64 MiB/s, and a burst of 1 MiB.
TEST_F(SnapshotSenderTest, LeavesRoomForOthers) {
  content_.chunks = 100'000;
  content_.chunk_bytes = 256 << 10;
  Run(50);
  uint64_t bytes = 0;
  for (const InstallSnapshotRequest& frame : stream().frames) {
    bytes += frame.chunk().data().size();
  }
  EXPECT_GE(bytes, kSnapshotBytesPerSecond / 2 - kMiB);
  EXPECT_LE(bytes, kSnapshotBytesPerSecond / 2 + 2 * kMiB);
}

TEST_F(SnapshotSenderTest, ReadsAFewChunksAhead) {
  content_.chunks = 100;
  Tick(20);
  EXPECT_EQ(content_.newest, kSnapshotChunksAheadMax - 1);
}

TEST_F(SnapshotSenderTest, APoolWithoutRoomIsAskedAgain) {
  pool_.full = true;
  Tick();
  pool_.full = false;
  Run();
  EXPECT_THAT(Written(), ElementsAre("0=c0", "1=c1", "2=c2", "total=3"));
}

TEST_F(SnapshotSenderTest, ItsEndMayComeAtAnyMoment) {
  Tick();
  stream().writing = false;
  stream().owner->OnWritten();
  clock_.Advance(EventLoop::kTick);
  sender_->Tick();  // Reads.
  EXPECT_EQ(pool_.waiting(), 1u);
  sender_.reset();
  EXPECT_TRUE(stream().abandoned);
  EXPECT_FALSE(content_.ended) << "it ends on the pool";
  pool_.RunAll();
  EXPECT_TRUE(content_.ended);
  EXPECT_THAT(log_.lines, Contains(HasSubstr("is given up")));
}

TEST_F(SnapshotSenderTest, WithoutAPoolItEndsHere) {
  Tick(5);
  ASSERT_EQ(pool_.waiting(), 0u);
  pool_.full = true;
  sender_.reset();
  EXPECT_TRUE(content_.ended);
}

}  // namespace
}  // namespace raftkv::server
